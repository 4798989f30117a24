from __future__ import annotations

import pytest
import torch

from recipes.losses.discriminators import (
    ResolutionDiscriminator,
    discriminator_loss,
    generator_loss,
)
from recipes.losses.stft_loss import StftResolution, compute_stft_loss
from support.golden_cases import Case, golden, load_strictly


def noise(seed: int) -> torch.Tensor:
    return 0.3 * torch.randn(2, 4096, generator=torch.Generator().manual_seed(seed))


def test_a_wave_is_no_distance_from_itself() -> None:
    assert compute_stft_loss(noise(0), noise(0)).total() == 0


def test_a_louder_copy_is_as_far_as_its_gain_says() -> None:
    loss = compute_stft_loss(2 * noise(0), noise(0))
    assert loss.spectral_convergence == pytest.approx(1.0, rel=1e-3)
    assert loss.log_magnitude == pytest.approx(0.6931, rel=1e-2)


def test_the_gradient_leads_towards_the_recording() -> None:
    fake, real = noise(0).requires_grad_(), noise(1)
    before = compute_stft_loss(fake, real).total()
    (slope,) = torch.autograd.grad(before, fake)
    assert compute_stft_loss(fake - 10 * slope, real).total() < before


def test_silence_has_a_finite_loss_and_gradient() -> None:
    silence = torch.zeros(1, 4096, requires_grad=True)
    compute_stft_loss(silence, noise(1)[:1]).total().backward()
    assert silence.grad is not None and silence.grad.isfinite().all()


@golden("univnet_training")
def test_losses_and_a_critic_agree_with_the_reference(case: Case) -> None:
    critic = ResolutionDiscriminator(StftResolution(*case.constructor["discriminator_resolution"]))
    load_strictly(critic, case.state())
    (call,) = case.calls
    fake, real = call.args["fake"], call.args["real"]
    loss = compute_stft_loss(
        fake, real, [StftResolution(*r) for r in case.constructor["resolutions"]]
    )
    scores = critic(fake), critic(real)
    call.check(
        sc_loss=loss.spectral_convergence,
        mag_loss=loss.log_magnitude,
        weighted_stft_loss=2.5 * loss.total(),
        disc_score_fake=scores[0],
        disc_score_real=scores[1],
        gen_adv_loss=generator_loss([scores[0]]),
        disc_loss=discriminator_loss([scores[0]], [scores[1]]),
    )

"""The diffusion loss against the reference, and which parts learn from which."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from support.golden_cases import Case, golden
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.noise_schedule import make_linear_schedule
from training.finetuning.optim.diffusion_loss import (
    DiffusionBatch,
    DropoutOptions,
    LossWeighting,
    compute_diffusion_losses,
    compute_elementwise_losses,
    compute_timestep_weights,
    discrete_log_likelihood,
    gaussian_divergence,
    predict_clean,
)


def toy_network(case: Case, x: Tensor, t: Tensor) -> Tensor:
    """The closed-form network that the notes of the case describe."""
    toy = {name.removeprefix("in/toy."): v for name, v in case.tensors.items() if "/toy." in name}
    abar = make_linear_schedule().alphas_cumprod.float()[t][:, None, None]
    phase = torch.cos(t.float() / 1000)[:, None, None]
    clean = 0.55 * torch.tanh(toy["W"] @ x + toy["b"][:, None] * phase)
    variance = torch.tanh(toy["V"] @ x + toy["d"][:, None] * phase)
    return torch.cat([(x - abar.sqrt() * clean) / (1 - abar).sqrt(), variance], dim=1)


@golden("diffusion_steps")
def test_training_losses_agree_with_the_reference(case: Case) -> None:
    schedule = make_linear_schedule()
    (call,) = [call for call in case.calls if call.method == "training_losses"]
    clean, t, noise = (call.args[name] for name in ("x_start", "t", "noise"))
    noisy = schedule.add_noise(clean, t, noise)
    output = toy_network(case, noisy, t)
    losses = compute_elementwise_losses(output, schedule, clean=clean, noise=noise, t=t)
    mse, vb = losses.noise.mean((1, 2)), losses.bound.mean((1, 2))
    call.check(q_sample=noisy, mse=mse, vb=vb, loss=mse + vb)
    call.check(dlas_mse=mse, dlas_vb_elementwise=losses.bound, dlas_loss=mse + vb)
    call.check(x_start_predicted=predict_clean(output.chunk(2, 1)[0], noisy, schedule, t))


def batch(items: int = 4) -> DiffusionBatch:
    generator = torch.Generator().manual_seed(0)
    return DiffusionBatch(
        mel=torch.rand(items, 8, 20, generator=generator) * 2 - 1,
        latents=torch.randn(items, 5, 12, generator=generator),
        voices=torch.randn(3, 2, 8, 30, generator=generator),
        speakers=torch.arange(items) % 3,
    )


def test_the_losses_repeat_with_their_seed_and_leave_the_global_one_alone() -> None:
    net, schedule, state = (
        DiffusionDecoder(DiffusionConfig.tiny()),
        make_linear_schedule(),
        torch.get_rng_state(),
    )
    first, again, other = (
        compute_diffusion_losses(
            net, schedule, batch(), DropoutOptions(), torch.Generator().manual_seed(seed)
        ).total()
        for seed in (1, 1, 2)
    )
    assert first == again and first != other and torch.isfinite(first)
    assert torch.equal(torch.get_rng_state(), state)


def test_quiet_steps_are_not_taught_where_the_weighing_says_so() -> None:
    net, schedule = DiffusionDecoder(DiffusionConfig.tiny()), make_linear_schedule()
    last = LossWeighting(min_timestep=len(schedule) - 1)
    noisiest = schedule.alphas_cumprod[-1]
    losses = compute_diffusion_losses(
        net, schedule, batch(8), DropoutOptions(), torch.Generator().manual_seed(3), last
    )
    capped = LossWeighting(min_timestep=len(schedule) - 1, max_inverse_snr=2.0)
    twice = compute_diffusion_losses(
        net, schedule, batch(8), DropoutOptions(), torch.Generator().manual_seed(3), capped
    )
    assert noisiest < 1e-4  # so that every weight is at its cap
    torch.testing.assert_close(twice.noise, 2 * losses.noise)


def test_a_new_network_misses_all_of_the_noise() -> None:
    """It names none, so that the squared error is the variance of the noise."""
    net = DiffusionDecoder(DiffusionConfig.tiny())
    losses = compute_diffusion_losses(
        net, make_linear_schedule(), batch(64), DropoutOptions(), torch.Generator().manual_seed(3)
    )
    assert losses.noise.item() == pytest.approx(1.0, abs=0.05)


def test_the_bound_teaches_the_variance_but_not_the_noise() -> None:
    generator = torch.Generator().manual_seed(4)
    clean, noise = (torch.randn(3, 8, 10, generator=generator).clamp(-1, 1) for _ in range(2))
    output = (0.1 * torch.randn(3, 16, 10, generator=generator)).requires_grad_()
    t = torch.tensor([0, 7, 3000])
    compute_elementwise_losses(
        output, make_linear_schedule(), clean=clean, noise=noise, t=t
    ).bound.sum().backward()
    named, spread = output.grad.chunk(2, dim=1)  # type: ignore[union-attr]
    assert not named.any() and spread.any()


def test_every_weight_learns_except_the_code_path() -> None:
    net = DiffusionDecoder(DiffusionConfig.tiny())
    with torch.no_grad():
        for parameter in net.parameters():  # zero-initialised ends would hide what is behind them
            parameter.add_(0.05)
    losses = compute_diffusion_losses(
        net, make_linear_schedule(), batch(), DropoutOptions(unconditioned=0.5), torch.Generator()
    )
    losses.total().backward()
    unused = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is None}
    assert unused == {"code_embedding", "code_converter"}


def test_forgotten_items_teach_neither_voice_nor_words() -> None:
    net = DiffusionDecoder(DiffusionConfig.tiny())
    losses = compute_diffusion_losses(
        net, make_linear_schedule(), batch(), DropoutOptions(unconditioned=1.0), torch.Generator()
    )
    losses.total().backward()
    assert not any(p.grad.any() for p in net.latent_conditioner.parameters())
    assert losses.mel.item() == pytest.approx(batch().mel.square().mean().item())


def test_the_divergence_is_that_of_two_gaussians() -> None:
    mean, log_var, mean2, log_var2 = torch.randn(4, 50, generator=torch.Generator().manual_seed(5))
    ours = gaussian_divergence(mean, log_var, mean2, log_var2)
    exact = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(mean2, (log_var2 / 2).exp()))
    torch.testing.assert_close(ours, exact, atol=1e-4, rtol=1e-4)


def test_the_bins_share_out_the_whole_probability() -> None:
    bins = torch.linspace(-1, 1, 256, dtype=torch.float64)
    total = discrete_log_likelihood(bins, torch.tensor(0.2), torch.tensor(-1.0)).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-6)


def test_shares_outside_zero_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="unconditioned"):
        DropoutOptions(unconditioned=1.5)


def test_steps_count_by_what_their_error_does_to_the_clean_mel() -> None:
    schedule = make_linear_schedule()
    weights = compute_timestep_weights(schedule, torch.tensor([0, 1000, 3999]), 5.0)
    error = schedule.sqrt_recipm1_alphas_cumprod[[0, 1000]].square().float()
    torch.testing.assert_close(weights[:2], error)
    assert weights[2] == 5.0
    assert compute_timestep_weights(schedule, torch.tensor([0, 3999]), None).tolist() == [1.0, 1.0]

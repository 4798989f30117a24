"""Denoising as a whole: lengths, guidance, seeds and refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from audio.mel import LOG_MEL_MAX, LOG_MEL_MIN
from core.progress import ProgressEvent, ProgressReporter
from support.diffusion_helpers import tiny_decoder
from tortoise.generation.diffusion import (
    DiffusionSamplingOptions,
    Guidance,
    apply_classifier_free_guidance,
    codes_to_frames,
    denoise,
)

QUICK = DiffusionSamplingOptions(steps=3)


def mel_of(
    options: DiffusionSamplingOptions, seed: int = 0, report: ProgressReporter | None = None
) -> Tensor:
    draws = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 6, 12, generator=draws)
    conditioning = torch.randn(1, 32, generator=draws)
    generator = torch.Generator().manual_seed(seed)
    return denoise(
        tiny_decoder(), latents, conditioning, options, generator, report or ProgressReporter()
    )


@pytest.mark.parametrize("codes, frames", [(1, 4), (86, 374), (500, 2176)])
def test_frames_last_as_long_as_their_codes(codes: int, frames: int) -> None:
    assert codes_to_frames(codes) == frames
    assert frames * 256 / 24_000 == pytest.approx(codes * 1024 / 22_050, abs=256 / 24_000)


@pytest.mark.parametrize("sampler", ["p", "ddim", "dpm"])
def test_the_mel_has_the_vocoders_range_and_the_length_of_its_codes(sampler: Any) -> None:
    mel = mel_of(replace(QUICK, sampler=sampler))
    assert mel.shape == (1, 8, codes_to_frames(6))
    assert mel.min() >= LOG_MEL_MIN - 1e-4 and mel.max() <= LOG_MEL_MAX + 1e-4 and mel.std() > 0


@pytest.mark.parametrize("sampler", ["p", "ddim", "dpm"])
def test_a_seed_gives_the_same_mel_and_another_seed_another(sampler: Any) -> None:
    options = replace(QUICK, sampler=sampler)
    assert torch.equal(mel_of(options, 1), mel_of(options, 1))
    assert not torch.equal(mel_of(options, 1), mel_of(options, 2))


def test_a_walk_leaves_the_global_generator_alone() -> None:
    net, state = tiny_decoder(), torch.get_rng_state()
    options = replace(QUICK, sampler="p")
    denoise(
        net,
        torch.zeros(1, 2, 12),
        torch.zeros(1, 32),
        options,
        torch.Generator(),
        ProgressReporter(),
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_no_guidance_is_the_conditional_network_alone() -> None:
    """A strength that vanishes comes to the same as none, which asks only once."""
    off = mel_of(replace(QUICK, guidance=Guidance(k=0.0)))
    faint = mel_of(replace(QUICK, guidance=Guidance(k=1e-7)))
    torch.testing.assert_close(off, faint, atol=1e-3, rtol=1e-4)
    assert not torch.allclose(off, mel_of(replace(QUICK, guidance=Guidance(k=4.0))), atol=1e-3)


def test_guidance_moves_the_noise_and_leaves_the_variance() -> None:
    voiced, without = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    steered = apply_classifier_free_guidance(voiced, without, 2.0)
    torch.testing.assert_close(steered[:, :2], 3 * voiced[:, :2] - 2 * without[:, :2])
    assert torch.equal(steered[:, 2:], voiced[:, 2:])


def test_the_ramp_reaches_its_full_strength_at_the_end() -> None:
    assert Guidance(k=2.0).strength(0.1) == pytest.approx(0.2)
    assert Guidance(k=2.0).strength(1.0) == Guidance(k=2.0, ramp=False).strength(0.1) == 2.0


def test_temperature_zero_starts_from_the_same_silence_whatever_the_seed() -> None:
    calm = replace(QUICK, temperature=0.0)
    assert torch.equal(mel_of(calm, 1), mel_of(calm, 2))


def test_every_step_is_reported() -> None:
    events: list[ProgressEvent] = []
    mel_of(QUICK, report=ProgressReporter(listener=events.append))
    progress = [(event.stage, event.done, event.total) for event in events]
    assert progress == [("diffusion", done, 3) for done in range(4)]


def test_bfloat16_autocast_comes_close() -> None:
    exact = mel_of(QUICK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = mel_of(QUICK)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.std()


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"steps": 0}, "from 2 to 4000 steps; got 0"),
        ({"steps": 1}, "got 1"),
        ({"sampler": "euler"}, "p, ddim, dpm; got 'euler'"),
        ({"temperature": math.nan}, "temperature must be from 0 to 1; got nan"),
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffusionSamplingOptions(**wrong)


@pytest.mark.parametrize("k", [-1.0, math.inf, math.nan])
def test_guidance_out_of_range_is_refused(k: float) -> None:
    with pytest.raises(ValueError, match="guidance k"):
        Guidance(k=k)


def test_latents_that_are_not_numbers_are_refused() -> None:
    latents = torch.full((1, 6, 12), math.nan)
    with pytest.raises(FloatingPointError, match="latents"):
        denoise(
            tiny_decoder(),
            latents,
            torch.zeros(1, 32),
            QUICK,
            torch.Generator(),
            ProgressReporter(),
        )


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one code"):
        codes_to_frames(0)

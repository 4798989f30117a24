"""What is done to references: equalisers, noise, echo and frequency warps stay within bounds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audio.mel import GPT_MEL, LOG_MEL_MIN, VOCODER_MEL, MelSpec, log_mel, resample
from recipes.data.voice_augmentation import (
    WARP_FACTOR_RANGE,
    AugmentationOptions,
    add_echo,
    add_noise,
    apply_channel_augmentation,
    apply_eq_curve,
    compute_band_centers,
    sample_augmented_references,
    sample_eq_curve,
    sample_warp_factor,
    warp_frequencies,
)

SPECS = [GPT_MEL, VOCODER_MEL]


def tone(hz: float, seconds: float = 1.0, rate: int = 22_050) -> Tensor:
    """A buzz with ten overtones: (n,)."""
    t = torch.arange(round(rate * seconds)) / rate
    return sum(torch.sin(2 * math.pi * hz * n * t) / n for n in range(1, 11)) * 0.2  # type: ignore[return-value]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spec", SPECS)
def test_band_centres_rise_from_bottom_to_top(spec: MelSpec) -> None:
    centres = compute_band_centers(spec)
    assert len(centres) == spec.bands and (centres.diff() > 0).all()
    assert 0 < centres[0] < 100 and 0.9 * spec.high_hz < centres[-1] < spec.high_hz


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("factor", [0.85, 1.0, 1.15])
def test_a_warp_moves_a_tone_to_where_it_belongs(spec: MelSpec, factor: float) -> None:
    wave = resample(torch.sin(2 * math.pi * 1500 * torch.arange(22_050) / 22_050), 22_050,
                    spec.sample_rate)  # fmt: skip
    moved = warp_frequencies(log_mel(wave, spec)[0], factor, spec).mean(1).argmax()
    assert float(compute_band_centers(spec)[moved]) == pytest.approx(1500 * factor, rel=0.06)


def test_a_warp_by_one_changes_nothing() -> None:
    mel = torch.randn(100, 20)
    assert torch.allclose(warp_frequencies(mel, 1.0, VOCODER_MEL), mel, atol=1e-5)


def test_silence_cannot_be_made_louder() -> None:
    silence = torch.full((100, 10), LOG_MEL_MIN)
    assert torch.equal(apply_eq_curve(silence, torch.full((100,), 3.0)), silence)


@pytest.mark.parametrize("spec", SPECS)
def test_a_curve_is_smooth_and_none_is_like_another(spec: MelSpec) -> None:
    one, other = sample_eq_curve(spec, generator(1)), sample_eq_curve(spec, generator(2))
    assert one.shape == (spec.bands,) and not torch.allclose(one, other)
    assert one.diff().abs().max() < 0.6 * spec.power


@pytest.mark.parametrize("spec", SPECS)
def test_noise_and_echo_only_ever_add(spec: MelSpec) -> None:
    mel = log_mel(resample(tone(200), 22_050, spec.sample_rate), spec)[0]
    assert (add_noise(mel, spec, generator()) >= mel - 1e-4).all()
    dying = add_echo(torch.cat([mel, torch.full_like(mel, LOG_MEL_MIN)], 1), spec, generator())
    tail = dying[:, mel.shape[1] :].mean(0)
    assert (dying[:, : mel.shape[1]] >= mel).all() and tail[0] > tail[10] > LOG_MEL_MIN


def test_nothing_is_disturbed_when_nothing_shall_be() -> None:
    mel, never = torch.randn(80, 30), AugmentationOptions(equalised=0, noisy=0, echoing=0)
    assert torch.equal(apply_channel_augmentation(mel, GPT_MEL, never, generator()), mel)


def test_tracts_stay_within_their_bounds() -> None:
    drawn = [sample_warp_factor(generator(seed)) for seed in range(50)]
    assert WARP_FACTOR_RANGE[0] <= min(drawn) < 0.95 and 1.05 < max(drawn) <= WARP_FACTOR_RANGE[1]


class Corpus:
    """Two speakers, of whom every reference is the number of the speaker."""

    names = ("anna", "ben")

    def __init__(self) -> None:
        self.clips = [type("Clip", (), {"speaker": n % 2})() for n in range(8)]

    def sample_speaker_mels(
        self, chosen: list[int], frames: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        rows = torch.stack([torch.full((GPT_MEL.bands, frames), float(n)) for n in (0, 1)])
        return rows, torch.tensor([index % 2 for index in chosen])


def test_the_same_generator_hears_the_same() -> None:
    one, other = (
        sample_augmented_references(Corpus(), [0, 1, 2], 20, AugmentationOptions(), generator(5))  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert one[1].tolist() == [0, 1, 0]
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])

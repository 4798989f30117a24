"""A mel becomes sound without a network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audio.griffin_lim import invert_mel_scale, mel_to_audio
from audio.mel import GPT_MEL, VOCODER_MEL, MelSpec, log_mel, mel_filterbank

BOTH = pytest.mark.parametrize("spec", [GPT_MEL, VOCODER_MEL], ids=["energies", "magnitudes"])


def tone(hz: float, spec: MelSpec) -> Tensor:
    """One second of a sine."""
    return 0.3 * torch.sin(2 * math.pi * hz * torch.arange(spec.sample_rate) / spec.sample_rate)


@BOTH
def test_a_tone_comes_back_at_its_pitch_and_loudness(spec: MelSpec) -> None:
    sine = tone(500, spec)
    (back,) = mel_to_audio(log_mel(sine, spec), spec, torch.Generator().manual_seed(1))
    middle = back[4_000:16_000]
    loudest = float(torch.fft.rfft(middle).abs().argmax()) * spec.sample_rate / len(middle)
    assert abs(loudest - 500) < 40  # a mel band is about 30 Hz wide there
    assert middle.square().mean() == pytest.approx(float(sine.square().mean()), rel=0.3)


@BOTH
def test_what_is_spread_over_the_spectrum_has_the_same_mel(spec: MelSpec) -> None:
    noise = torch.randn(1, 12_000, generator=torch.Generator().manual_seed(2)) * 0.1
    mel = log_mel(noise, spec)
    again = (mel_filterbank(spec, mel.device) @ invert_mel_scale(mel, spec).pow(spec.power)).log()
    assert (again - mel).abs().mean() < 0.02


def test_the_same_generator_gives_the_same_wave() -> None:
    mel = log_mel(tone(300, VOCODER_MEL), VOCODER_MEL)
    one, two, other = (
        mel_to_audio(mel, VOCODER_MEL, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)

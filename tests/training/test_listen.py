"""Codes and mels are made audible without a vocoder."""

from __future__ import annotations

import math

import torch

from speech.mel import GPT_MEL, log_mel
from training.listen import wave_of_mel


def test_a_tone_comes_back_from_its_mel() -> None:
    time = torch.arange(GPT_MEL.sample_rate) / GPT_MEL.sample_rate
    tone = 0.3 * torch.sin(2 * math.pi * 500 * time)
    back = wave_of_mel(log_mel(tone, GPT_MEL)[0], torch.Generator().manual_seed(1))
    spectrum = torch.fft.rfft(back.wave[4_000:16_000]).abs()
    loudest = float(spectrum.argmax()) * GPT_MEL.sample_rate / 12_000
    assert abs(loudest - 500) < 40  # a mel band is about 30 Hz wide there
    assert abs(back.duration_s - 1.0) < 0.05

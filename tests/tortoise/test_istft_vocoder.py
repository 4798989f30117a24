"""The vocoder that predicts a spectrum: its pulses, its streaming, its place among the vocoders."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audio.mel import VOCODER_MEL, log_mel, vocoder_mel
from tortoise.generation.vocoding import choose_vocoder, vocode
from tortoise.modules.vocoders.istft_vocoder import (
    HOP,
    IstftVocoder,
    IstftVocoderConfig,
    PulseTrain,
    compute_pulse_spectra,
    overlap_add,
    stream_mel,
    synthesize_wave,
    vocode_mel,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> IstftVocoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return IstftVocoder(IstftVocoderConfig.tiny()).eval().requires_grad_(False)


def vowel(hz: float, seconds: float = 0.8) -> Tensor:
    """A sum of harmonics that get weaker: (n,)."""
    turns = hz * torch.arange(round(24_000 * seconds)) / 24_000
    return sum(0.2 / h * torch.sin(2 * math.pi * h * turns) for h in range(1, 12))


def train(phase: float = 0.0) -> PulseTrain:
    return PulseTrain(phase=torch.tensor([phase], dtype=torch.float64))


def test_a_pulse_train_has_all_harmonics_at_unit_amplitude() -> None:
    wave = train().extend(torch.full((1, 30), 240.0))[0]
    spectrum = torch.fft.rfft(wave[: 100 * 70]).abs() / 3500  # 70 periods of 100 samples
    harmonics = spectrum[70::70][:48]
    assert harmonics == pytest.approx(torch.ones(48), abs=0.02)
    assert spectrum[35::70][:48].max() < 0.02


def test_pulses_continue_over_calls_without_a_seam() -> None:
    f0 = torch.cat([torch.linspace(90, 300, 12), -torch.full((5,), 80.0), torch.full((9,), 150.0)])
    whole, parts = train(0.3), train(0.3)
    expected = whole.extend(f0[None])
    pieces = [
        parts.extend(f0[None, start : stop + 1]) for start, stop in ((0, 7), (7, 14), (14, 25))
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected)


def test_unvoiced_frames_have_no_pulses() -> None:
    wave = train().extend(torch.tensor([[200.0, 200.0, -200.0, 0.0, 0.0]]))
    assert wave[0, : 2 * HOP - HOP // 2].abs().max() > 1
    assert wave[0, 2 * HOP - HOP // 2 :].abs().max() == 0


def test_a_spectrum_becomes_the_wave_it_was_taken_from() -> None:
    wave = torch.randn(1, 20 * HOP, generator=seeded())
    spectra = compute_pulse_spectra(wave) * VOCODER_MEL.n_fft / 4
    rebuilt = overlap_add(spectra)
    inner = slice(3 * HOP, 17 * HOP)
    torch.testing.assert_close(rebuilt[:, inner], wave[:, inner], rtol=1e-4, atol=1e-4)


def test_an_untrained_network_already_keeps_the_mel() -> None:
    mel = vocoder_mel(vowel(150.0))
    f0 = torch.full((1, mel.shape[-1]), 150.0)
    copied = log_mel(synthesize_wave(network(), mel, f0, seeded()), VOCODER_MEL)
    loud = mel[..., 5:-5] > -4
    difference = (copied[..., 5 : mel.shape[-1] - 5] - mel[..., 5:-5])[loud].abs().mean()
    assert difference < 0.35  # 0.3 of white noise with these magnitudes


@pytest.mark.parametrize("sizes", [(1,) * 60, (17, 1, 2, 40), (60,), (3, 57), (59, 1)])
def test_streaming_equals_the_whole_mel(sizes: tuple[int, ...]) -> None:
    net, mel = network(), torch.randn(2, 100, 60, generator=seeded(2)) - 4
    pieces = list(stream_mel(net, mel.split(sizes, dim=-1), seeded(3)))
    whole = vocode_mel(net, mel, seeded(3))
    assert whole.shape == (2, 60 * HOP)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_a_stream_begins_before_the_mel_is_complete() -> None:
    net = network()
    chunks = torch.zeros(1, 100, 200).split(10, dim=-1)
    lengths = [piece.shape[1] for piece in stream_mel(net, chunks, seeded())]
    assert sum(lengths) == 200 * HOP and sum(n > 0 for n in lengths[:10]) >= 7


def test_no_chunk_gives_no_piece() -> None:
    assert list(stream_mel(network(), [], seeded())) == []


def test_it_is_one_of_the_vocoders_of_a_model() -> None:
    assert choose_vocoder("auto", ["gpt", "istft_vocoder"]) == "istft_vocoder"
    assert choose_vocoder("istft", ["vocoder", "istft_vocoder"]) == "istft_vocoder"
    wave = vocode(network(), torch.randn(2, 100, 8, generator=seeded()) - 5, seeded())
    assert wave.shape == (2, 8 * HOP) and wave.abs().max() <= 1


def test_the_same_seed_speaks_the_same_wave() -> None:
    mel = torch.randn(1, 100, 8, generator=seeded()) - 5
    assert torch.equal(vocode_mel(network(), mel, seeded(3)), vocode_mel(network(), mel, seeded(3)))

"""The mel front ends against the reference vectors, and what must hold for any wave."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from audio.mel import (
    GPT_MEL,
    LOG_MEL_MIN,
    VOCODER_MEL,
    MelSpec,
    denormalize_mel,
    gpt_mel,
    log_mel,
    mel_filterbank,
    normalize_mel,
    resample,
    vocoder_mel,
)
from support.golden_cases import FALLBACK, GOLDEN, Call, Case, golden

CPU = torch.device("cpu")
GPT_PAD, VOCODER_PAD = 132_300, 102_400  # samples of a conditioning clip


def tone(hertz: float, sample_rate: int, seconds: float = 0.5) -> Tensor:
    turns = torch.arange(int(seconds * sample_rate)) * (hertz / sample_rate)
    return torch.sin(2 * torch.pi * turns)


def rms(wave: Tensor) -> float:
    return float(wave.square().mean().sqrt())


@golden("mel_dvae_22k")
def test_the_gpt_front_end_is_the_published_one(case: Case) -> None:
    for call in case.calls:
        if call.method == "forward" and "mel_norm_file" in call.args:
            call.check(mel=log_mel(wave_of(call), GPT_MEL))
        elif call.method == "forward":
            call.check(mel=gpt_mel(wave_of(call), mel_norms()))
        elif call.method == "mel filterbank":
            call.check(fb=mel_filterbank(GPT_MEL, CPU).T)
        else:
            call.check(mel_norms=mel_norms())


@golden("mel_univnet_24k")
def test_the_vocoder_front_end_is_the_published_one(case: Case) -> None:
    for call in case.calls:
        if call.method == "wav_to_univnet_mel":
            mel = vocoder_mel(wave_of(call))
            call.check(mel=normalize_mel(mel) if call.args["do_normalization"] else mel)
        elif call.method == "mel filterbank":
            call.check(mel_basis=mel_filterbank(VOCODER_MEL, CPU))
        else:
            call.check(y=denormalize_mel(call.args["x"]))


@golden("conditioning_audio")
def test_conditioning_clips_are_resampled_and_pictured_as_published(case: Case) -> None:
    for call in case.calls:
        wave = wave_of(call)
        (name,) = call.outputs
        if call.method == "format_conditioning":
            start = call.args["crop_start"] or 0
            mel = gpt_mel(fitted(wave[:, start:], GPT_PAD), mel_norms())
            call.check(mel=mel[..., frames(call.args["frames_stored"])])
        elif call.method == "diffusion conditioning mel":
            mel = vocoder_mel(fitted(resample(wave, 22_050, 24_000), VOCODER_PAD))
            call.check(**{name: mel[..., frames(name.removeprefix("mel_frames_"))]})
        else:
            first = resample(wave, 22_050, 24_000)[:, :8_000]
            call.check(resampled_first_8000=first.reshape(call.outputs[name].value.shape))


def wave_of(call: Call) -> Tensor:
    wave: Tensor = call.args["wav_int16"] if "wav_int16" in call.args else call.args["wav_float"]
    return wave.reshape(-1, wave.shape[-1])


def mel_norms() -> Tensor:
    beside = (
        folder / "mel_norms.safetensors" for folder in (GOLDEN.parent, GOLDEN, FALLBACK.parent)
    )
    file = next((path for path in beside if path.exists()), None)
    return load_file(file)["mel_norms"] if file else pytest.skip("no mel_norms.safetensors")


def fitted(wave: Tensor, samples: int) -> Tensor:
    return torch.nn.functional.pad(wave[..., :samples], (0, max(0, samples - wave.shape[-1])))


def frames(stored: str) -> slice:
    """'all', '200:300' or '0_240' as a slice."""
    if stored == "all":
        return slice(None)
    first, last = stored.replace("_", ":").split(":")
    return slice(int(first), int(last))


@pytest.mark.parametrize("spec", [GPT_MEL, VOCODER_MEL])
def test_a_batch_gives_what_its_waves_give_alone(spec: MelSpec) -> None:
    waves = torch.rand(3, 5_000, generator=torch.Generator().manual_seed(1)) - 0.5
    together = log_mel(waves, spec)
    assert together.shape == (3, spec.bands, 1 + 5_000 // spec.hop)
    alone = torch.cat([log_mel(wave, spec) for wave in waves])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("spec", [GPT_MEL, VOCODER_MEL])
def test_silence_is_the_lowest_value(spec: MelSpec) -> None:
    assert log_mel(torch.zeros(4_000), spec).unique().tolist() == [pytest.approx(LOG_MEL_MIN)]


@pytest.mark.parametrize("hertz", [300.0, 1_000.0, 5_000.0])
def test_a_tone_lights_the_band_that_holds_it(hertz: float) -> None:
    loudest = log_mel(tone(hertz, 24_000), VOCODER_MEL).mean(-1).argmax()
    bank = mel_filterbank(VOCODER_MEL, CPU)
    bin_of_tone = round(hertz * VOCODER_MEL.n_fft / VOCODER_MEL.sample_rate)
    assert bank[loudest, bin_of_tone] > 0


def test_twice_as_loud_adds_the_log_of_two_to_magnitudes_and_of_four_to_energies() -> None:
    soft = tone(700.0, 24_000) * 0.25
    for spec, factor in ((VOCODER_MEL, 2.0), (GPT_MEL, 4.0)):
        loud_band = log_mel(soft, spec).mean(-1).argmax()
        gain = (log_mel(2 * soft, spec) - log_mel(soft, spec))[0, loud_band]
        torch.testing.assert_close(gain, torch.full_like(gain, factor).log(), atol=1e-3, rtol=0)


def test_normalizing_undoes_denormalizing() -> None:
    mel = torch.linspace(LOG_MEL_MIN, 2.3, 100)
    torch.testing.assert_close(denormalize_mel(normalize_mel(mel)), mel)


def test_the_front_end_stays_exact_under_autocast_and_after_inference_mode() -> None:
    wave = tone(440.0, 24_000).requires_grad_()
    with torch.inference_mode():
        exact = vocoder_mel(wave)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mel = vocoder_mel(wave)
    mel.sum().backward()
    assert mel.dtype == torch.float32 and wave.grad is not None
    torch.testing.assert_close(mel.detach(), exact.clone())


def test_a_wave_too_short_for_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="512 samples are too few"):
        vocoder_mel(torch.zeros(512))


def test_resampling_keeps_a_tone_and_removes_its_alias() -> None:
    kept = resample(tone(1_000, 48_000), 48_000, 16_000)
    gone = resample(tone(13_000, 48_000), 48_000, 16_000)
    assert kept.shape == (8_000,)
    assert rms(kept) == pytest.approx(2**-0.5, rel=1e-2) and rms(gone[100:-100]) < 1e-2

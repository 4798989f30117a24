"""Effects change what they name, nothing else, and never the clip itself."""

from __future__ import annotations

import pytest
import torch

from audio.clip import Clip
from audio.effects.chain import apply_effects
from audio.effects.options import EFFECT_PRESETS, EffectOptions
from audio.loudness import MAX_TRUE_PEAK_DB, measure_loudness, measure_true_peak
from core.progress import Cancelled, ProgressReporter

RATE = 24_000


def tone(*hertz: float, seconds: float = 1.5, rate: int = RATE) -> Clip:
    time = torch.arange(round(seconds * rate)) / rate
    waves = [torch.sin(2 * torch.pi * one * time) for one in hertz]
    return Clip(wave=0.1 * torch.stack(waves).sum(0), sample_rate=rate)


def apply(clip: Clip, **options: object) -> Clip:
    return apply_effects(clip, EffectOptions(**options), ProgressReporter())  # type: ignore[arg-type]


def level_of(clip: Clip, hertz: float) -> float:
    """The level of one frequency in dB."""
    time = torch.arange(len(clip.wave)) / clip.sample_rate
    turns = torch.polar(torch.ones_like(time), -2 * torch.pi * hertz * time)
    window = torch.hann_window(len(clip.wave))
    return float(20 * ((clip.wave * window * turns).sum().abs() / window.sum()).log10())


def pitch_of(clip: Clip) -> float:
    spectrum = torch.fft.rfft(clip.wave * torch.hann_window(len(clip.wave))).abs()
    return float(spectrum.argmax()) * clip.sample_rate / len(clip.wave)


def test_without_effects_the_clip_is_returned() -> None:
    clip = tone(440)
    assert apply(clip) is clip
    silence = Clip(wave=torch.zeros(RATE), sample_rate=RATE)
    assert apply(silence, reverb=0.5) is silence


@pytest.mark.parametrize("semitones", [-12.0, -3.5, 4.0, 12.0])
def test_the_pitch_is_shifted_and_the_length_stays(semitones: float) -> None:
    shifted = apply(tone(440), pitch=semitones)
    assert pitch_of(shifted) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.02)
    assert len(shifted.wave) == len(tone(440).wave)


@pytest.mark.parametrize(("band", "gone"), [("telephone", (100, 7000)), ("radio", (60, 9000))])
def test_a_device_leaves_its_band(band: str, gone: tuple[float, float]) -> None:
    filtered = apply(tone(1000, *gone), band=band)
    kept = level_of(filtered, 1000)
    assert all(level_of(filtered, hertz) < kept - 30 for hertz in gone)


@pytest.mark.parametrize(
    ("option", "hertz"), [("bass", 80.0), ("presence", 3000.0), ("treble", 9000.0)]
)
def test_a_band_is_raised_relative_to_the_others(option: str, hertz: float) -> None:
    clip = tone(hertz, 800)
    raised = apply(clip, **{option: 9.0})
    before = level_of(clip, hertz) - level_of(clip, 800)
    after = level_of(raised, hertz) - level_of(raised, 800)
    assert after - before > 5


def test_compression_brings_loud_and_quiet_parts_together() -> None:
    clip = tone(440, seconds=2.0)
    clip.wave[RATE:] *= 0.1
    squeezed = apply(clip, compression=6.0).wave
    ratio = float(squeezed[RATE // 2 : RATE].std() / squeezed[RATE * 3 // 2 :].std())
    assert 1.5 < ratio < 7


def test_reverberation_goes_on_after_the_sound_and_decays() -> None:
    clip = tone(440, seconds=0.5)
    heard = apply(clip, reverb=0.5, reverb_s=1.0)
    assert len(heard.wave) == len(clip.wave) + RATE
    early, late = heard.wave[RATE // 2 : RATE * 6 // 10], heard.wave[-RATE // 10 :]
    assert float(early.std()) > 0.01 > 10 * float(late.std())


@pytest.mark.parametrize("preset", EFFECT_PRESETS)
@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_presets_keep_the_loudness_and_the_clip(preset: str, rate: int) -> None:
    clip = tone(220, 1500, rate=rate)
    before = clip.wave.clone()
    changed = apply(clip, **EFFECT_PRESETS[preset])
    assert measure_loudness(changed) == pytest.approx(measure_loudness(clip), abs=0.5)
    assert measure_true_peak(changed) <= MAX_TRUE_PEAK_DB + 0.01
    assert changed.wave.isfinite().all() and torch.equal(clip.wave, before)
    assert torch.equal(changed.wave, apply(clip, **EFFECT_PRESETS[preset]).wave)


def test_a_chain_can_be_stopped() -> None:
    stopped = ProgressReporter(stopped=lambda: True)
    with pytest.raises(Cancelled):
        apply_effects(tone(440), EffectOptions(reverb=0.5), stopped)


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ValueError, match="pitch is 13; it must be from -12"):
        EffectOptions(pitch=13)
    with pytest.raises(ValueError, match="band is 'tin'"):
        EffectOptions(band="tin")

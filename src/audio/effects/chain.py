"""Apply a chain of effects to a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import soxr
import torch
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, lfilter, sosfiltfilt
from torch import Tensor
from torch.nn.functional import pad
from torchaudio import functional as audio

from audio.clip import Clip
from audio.effects.options import EffectOptions
from audio.loudness import master_loudness, measure_loudness
from core.progress import ProgressReporter

BAND_EDGES_HZ = {"telephone": (300.0, 3400.0), "radio": (150.0, 5000.0)}
BAND_ORDER = 4
BAND_DRIVE = 2.0  # of the distortion, at the level of the loudest sample
BASS_HZ, PRESENCE_HZ, TREBLE_HZ, PRESENCE_Q = 200.0, 3000.0, 6000.0, 0.7
FFT_SIZE, HOP = 1024, 256  # samples, of the phase vocoder
LEVEL_S, RELEASE_S = 0.01, 0.08  # of the compressor: measuring the level, and following it
THRESHOLD_DB = -6.0  # of the compressor, below the level of the loud parts
PREDELAY_S = 0.015  # before the reverberation
REVERB_SEED = 0

Effect = Callable[[Tensor, int, EffectOptions], Tensor]


def apply_effects(clip: Clip, options: EffectOptions, report: ProgressReporter) -> Clip:
    """Apply the effects of a chain in order, with the loudness of the clip; the clip is unchanged.

    A reverberation makes it longer. Where nothing is turned on, the clip itself is returned.
    """
    chain = [effect for name, effect in EFFECTS.items() if _is_on(name, options)]
    if not chain or not clip.wave.any():
        return clip
    wave = clip.wave
    for effect in report.track(chain, "effects"):
        wave = effect(wave, clip.sample_rate, options)
    return master_loudness(replace(clip, wave=wave), measure_loudness(clip))


def _is_on(name: str, options: EffectOptions) -> bool:
    values = {
        "pitch": options.pitch != 0,
        "band": options.band != "full",
        "equalizer": any((options.bass, options.presence, options.treble)),
        "compressor": options.compression > 1,
        "reverb": options.reverb > 0,
    }
    return values[name]


def shift_pitch(wave: Tensor, rate: int, semitones: float) -> Tensor:
    """Change the duration without the pitch, then resample to the old length: (n,) to (n,)."""
    stretch = 2.0 ** (-semitones / 12)
    window = torch.hann_window(FFT_SIZE)
    spectrum = torch.stft(wave, FFT_SIZE, HOP, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * HOP, FFT_SIZE // 2 + 1)[:, None]
    stretched = torch.istft(
        audio.phase_vocoder(spectrum, stretch, advance),
        FFT_SIZE,
        HOP,
        window=window,
        length=round(len(wave) / stretch),
    )
    shifted = soxr.resample(stretched.numpy(), rate, rate * stretch)[: len(wave)]
    return pad(torch.from_numpy(shifted), (0, len(wave) - len(shifted)))


def limit_band(wave: Tensor, rate: int, options: EffectOptions) -> Tensor:
    """Keep the frequencies of a device and distort them slightly: (n,) to (n,)."""
    low, high = BAND_EDGES_HZ[options.band]
    high = min(high, 0.45 * rate)
    filters = butter(BAND_ORDER, (low, high), "bandpass", fs=rate, output="sos")
    kept = torch.from_numpy(_filter_both_ways(filters, wave.double().numpy()).copy()).float()
    peak = kept.abs().max().clamp(min=1e-9)
    driven: Tensor = peak * torch.tanh(BAND_DRIVE * kept / peak) / np.tanh(BAND_DRIVE)
    return driven


def equalize(wave: Tensor, rate: int, options: EffectOptions) -> Tensor:
    """Raise or lower three bands: (n,) to (n,)."""
    treble_hz = min(TREBLE_HZ, 0.4 * rate)
    if options.bass:
        wave = audio.bass_biquad(wave, rate, options.bass, BASS_HZ)
    if options.presence:
        presence_hz = min(PRESENCE_HZ, 0.4 * rate)
        wave = audio.equalizer_biquad(wave, rate, presence_hz, options.presence, PRESENCE_Q)
    return audio.treble_biquad(wave, rate, options.treble, treble_hz) if options.treble else wave


def compress(wave: Tensor, rate: int, options: EffectOptions) -> Tensor:
    """Lower what is louder than a threshold, so that loud and quiet parts differ less: (n,)."""
    power = uniform_filter1d(wave.double().square().numpy(), max(1, round(LEVEL_S * rate)))
    level = 10 * np.log10(np.maximum(power, 1e-10))
    threshold = np.quantile(level, 0.95) + THRESHOLD_DB
    gain_db = -np.maximum(0.0, level - threshold) * (1 - 1 / options.compression)
    decay = np.exp(-1 / (RELEASE_S * rate))
    smooth = lfilter([1 - decay], [1, -decay], gain_db)
    return wave * torch.from_numpy(10 ** (smooth / 20)).float()


def reverberate(wave: Tensor, rate: int, options: EffectOptions) -> Tensor:
    """Add decaying noise to each sound, as a room does: (n,) to (n + reverb_s * rate,)."""
    tail = round(options.reverb_s * rate)
    draw = torch.Generator().manual_seed(REVERB_SEED)
    decay = 10 ** (-3 * torch.arange(tail) / tail)  # 60 dB
    room = decay * torch.randn(tail, generator=draw)
    room[: round(PREDELAY_S * rate)] = 0
    room = room / room.square().sum().sqrt().clamp(min=1e-9)
    dry = pad(wave, (0, tail))
    wet = audio.fftconvolve(wave, room)[: len(dry)]
    wet = pad(wet, (0, len(dry) - len(wet)))
    return (1 - options.reverb) * dry + options.reverb * wet


def _filter_both_ways(sections: np.ndarray, wave: np.ndarray) -> np.ndarray:
    padding = min(len(wave) - 1, 3 * 2 * len(sections))
    filtered: np.ndarray = sosfiltfilt(sections, wave, padlen=max(0, padding))
    return filtered


EFFECTS: dict[str, Effect] = {
    "pitch": lambda wave, rate, options: shift_pitch(wave, rate, options.pitch),
    "band": limit_band,
    "equalizer": equalize,
    "compressor": compress,
    "reverb": reverberate,
}

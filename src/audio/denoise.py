"""Denoise recordings without a network: high-pass filter, spectral gate, loudness.

Shapes: k frequencies, f frames, n samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from audio.clip import Clip, ClipError
from audio.loudness import normalize_loudness
from audio.noise_estimation import Stft, estimate_noise_spectrum

HIGH_PASS_EXPONENT = 8  # of the cut below the lowest voice: 24 dB per octave
OVERSUBTRACTION = (
    2.0  # how much of the background is taken off, so that none of it flickers through
)
GATE_SMOOTHING = (3, 7)  # frequencies and frames over which the gate opens as one: no musical noise
BLOCK_S = 60.0  # the background is estimated for each minute
OVERLAP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipDenoiseOptions:
    """Strength of denoising.

    lower_db: attenuation of the background, 0 for none. cut_hz: corner of the high-pass filter, 0
    for none. lufs: loudness afterwards, None to keep it.
    """

    lower_db: float = 18.0
    cut_hz: float = 60.0
    lufs: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.lower_db <= 60:
            raise ValueError(f"lower_db is {self.lower_db}; it must be from 0 to 60 dB.")
        if not 0 <= self.cut_hz <= 300:
            raise ValueError(f"cut_hz is {self.cut_hz}; it must be from 0 to 300 Hz.")


def denoise_clip(clip: Clip, options: ClipDenoiseOptions) -> Clip:
    """Attenuate the background of a clip; its length and timing stay.

    Raises ClipError for a clip of digital silence.
    """
    if not bool(clip.wave.any()):
        raise ClipError(f"{clip.name or 'The clip'} is silent; there is nothing to clean.")
    wave = apply_high_pass(clip.wave.float(), clip.sample_rate, options.cut_hz)
    if options.lower_db > 0:
        wave = _gate_in_blocks(wave, clip.sample_rate, options.lower_db)
    cleaned = replace(clip, wave=wave.clamp(-1, 1))
    return cleaned if options.lufs is None else normalize_loudness(cleaned, options.lufs)


def apply_high_pass(wave: Tensor, sample_rate: int, cut_hz: float) -> Tensor:
    """High-pass filter at `cut_hz`, with zero phase: (n,) -> (n,)."""
    if cut_hz <= 0:
        return wave
    margin = min(wave.shape[0] - 1, sample_rate // 4)
    padded = functional.pad(wave[None, None], (margin, margin), mode="reflect")[0, 0]
    frequencies = torch.fft.rfftfreq(padded.shape[0], 1 / sample_rate)
    gain = (1 + (cut_hz / frequencies.clamp(min=1e-3)) ** HIGH_PASS_EXPONENT).rsqrt()
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(padded) * gain, padded.shape[0])
    return filtered[margin : margin + wave.shape[0]]


def apply_spectral_gate(wave: Tensor, sample_rate: int, lower_db: float) -> Tensor:
    """Attenuate each frequency where it holds only background: (n,) -> (n,)."""
    transform = Stft.for_sample_rate(sample_rate)
    spectrum = transform.spectrum(wave)  # (k, f)
    power = transform.power(wave)
    noise = estimate_noise_spectrum(power)[:, None] * OVERSUBTRACTION  # (k, 1)
    pads = (
        GATE_SMOOTHING[1] // 2,
        GATE_SMOOTHING[1] // 2,
        GATE_SMOOTHING[0] // 2,
        GATE_SMOOTHING[0] // 2,
    )
    even = functional.avg_pool2d(
        functional.pad(power[None, None], pads, mode="replicate"), GATE_SMOOTHING, stride=1
    )[0, 0]
    floor = 10 ** (-lower_db / 20)
    gain = (1 - noise / even.clamp(min=1e-20)).clamp(min=0.0).sqrt()
    return transform.wave(spectrum * gain.clamp(min=floor), wave.shape[0])


def _gate_in_blocks(wave: Tensor, sample_rate: int, lower_db: float) -> Tensor:
    """Gate block by block with cross-fades, so that memory does not grow with length."""
    block, overlap = round(BLOCK_S * sample_rate), round(OVERLAP_S * sample_rate)
    if wave.shape[0] <= block + overlap:
        return apply_spectral_gate(wave, sample_rate, lower_db)
    ramp = torch.linspace(0, 1, overlap)
    out = torch.zeros_like(wave)
    for start in range(0, wave.shape[0] - overlap, block):
        gated = apply_spectral_gate(wave[start : start + block + overlap], sample_rate, lower_db)
        if start:
            gated[:overlap] *= ramp
        if start + block + overlap < wave.shape[0]:
            gated[-overlap:] *= 1 - ramp
        out[start : start + gated.shape[0]] += gated
    return out

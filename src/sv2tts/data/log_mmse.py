"""Log-MMSE speech enhancement (Ephraim and Malah 1985), as the published preprocessing uses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import exp1

WINDOW_S = 0.02
SMOOTHING = 0.98
MIN_PRIOR_SNR = 10.0 ** (-25.0 / 10.0)
MAX_POSTERIOR_SNR = 40.0


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """The mean power spectrum of noise.

    power: (n_fft,); window: samples per window, of which consecutive ones overlap by half.
    """

    power: np.ndarray
    window: int

    @property
    def n_fft(self) -> int:
        return 2 * self.window

    @property
    def taper(self) -> np.ndarray:
        taper = np.hanning(self.window)
        return np.asarray(taper * (self.window - self.window // 2) / taper.sum())


def profile_noise(noise: np.ndarray, sample_rate: int) -> NoiseProfile:
    """Measure noise (n,)."""
    window = int(WINDOW_S * sample_rate)
    window += window % 2
    empty = NoiseProfile(np.zeros(2 * window), window)
    count = len(noise) // window
    frames = _to_float(noise)[: count * window].reshape(count, window) * empty.taper
    magnitude = np.abs(np.fft.fft(frames, empty.n_fft)).mean(axis=0) if count else empty.power
    return NoiseProfile(magnitude**2, window)


def denoise_log_mmse(wave: np.ndarray, profile: NoiseProfile, eta: float = 0.15) -> np.ndarray:
    """Reduce the profiled noise in a wave (n,).

    eta: below this speech presence the noise profile is updated; 0 never updates it. Returns (n,)
    of the wave's dtype; what does not fill a window at the end is silent.
    """
    half = profile.window // 2
    samples = _to_float(wave)
    count = max(0, len(samples) // half - profile.window // half)
    noise = profile.power.copy()
    overlap = np.zeros(half)
    previous: np.ndarray | None = None
    output = np.zeros((count, half))
    for frame in range(count):
        start = frame * half
        spectrum = np.fft.fft(
            samples[start : start + profile.window] * profile.taper, profile.n_fft
        )
        power = np.abs(spectrum) ** 2
        posterior = np.minimum(power / noise, MAX_POSTERIOR_SNR)
        gain_snr = np.maximum(posterior - 1.0, 0.0)
        if previous is None:
            prior = SMOOTHING + (1.0 - SMOOTHING) * gain_snr
        else:
            prior = SMOOTHING * previous / noise + (1.0 - SMOOTHING) * gain_snr
            prior = np.maximum(MIN_PRIOR_SNR, prior)
        ratio = prior / (1.0 + prior)
        presence = np.sum(posterior * ratio - np.log1p(prior)) / profile.window
        if presence < eta:
            noise = SMOOTHING * noise + (1.0 - SMOOTHING) * power
        exponent = np.clip(posterior * ratio, 1e-30, None)
        enhanced = np.abs(spectrum) * ratio * np.exp(0.5 * exp1(exponent))
        previous = enhanced**2
        restored = np.real(np.fft.ifft(enhanced * np.exp(1j * np.angle(spectrum)), profile.n_fft))
        output[frame] = overlap + restored[:half]
        overlap = restored[half : profile.window]
    result = np.zeros(len(samples))
    flat = output.reshape(-1)[: len(samples)]
    result[: len(flat)] = flat
    return result.astype(wave.dtype)


def _to_float(wave: np.ndarray) -> np.ndarray:
    return wave.astype(np.float64) / (np.iinfo(wave.dtype).max if wave.dtype.kind == "i" else 1.0)

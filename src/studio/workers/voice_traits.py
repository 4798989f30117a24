"""Pitch, brightness, resonance and steadiness of speech, from its voiced frames.

Shapes: n samples, f frames, w samples of a frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import solve_toeplitz
from torch import Tensor
from torch.nn import functional as F

from audio.clip import Clip

LOW_HZ, HIGH_HZ = 60.0, 400.0
FRAME_S, HOP_S = 0.040, 0.010
MIN_PERIODICITY = 0.5  # of a voiced frame: correlation with itself one period later
NEARLY = 0.85  # of the highest correlation
MIN_LEVEL = 0.1  # of a voiced frame, of the loudest one
MIN_VOICED_FRAMES = 10
# resonances, by linear prediction: F3 and F4 of a tube that is closed at one end are 5 and 7 times
# the lowest, which is the speed of sound over four times the length of the vocal tract
LPC_RATE, LPC_ORDER, PRE_EMPHASIS = 16_000, 16, 0.97
LOWEST_RESONANCE_HZ, HIGHEST_RESONANCE_HZ, WIDEST_RESONANCE_HZ = 200.0, 5500.0, 600.0
TUBE_MULTIPLES = np.array([5.0, 7.0])
FRAMES_PER_LPC = 3  # one of so many voiced frames is analysed
TYPICAL_RESONANCE_HZ = 551.0  # of 258 readers; for sounds in which none is found
# Fitted to six seconds each of 180 readers of LibriSpeech (train-clean-100 and test-other), whose
# sex its table of speakers tells; right for 76 of the 78 others, in tests/assets/reader_traits.csv.
# Pairs are of log2 of pitch and resonance in Hz.
WOMAN_BIAS, WOMAN_WEIGHTS = -190.87, (5.41, 16.62)
WOMEN_MEAN, MEN_MEAN, SPREAD_WITHIN_SEX = (7.615, 9.182), (6.906, 9.005), (0.262, 0.078)
UNSTEADINESS_MEAN, UNSTEADINESS_SPREAD = -6.07, 0.36  # of log2
LEAST_UNSTEADINESS = 1e-4


class VoicedSpeech(NamedTuple):
    """What was measured of the voiced frames.

    pitch_hz: their median pitch;  centroid_hz: of their spectrum;  resonance_hz: the lowest
    resonance of a tube as long as the vocal tract;  unsteadiness: median change of the pitch
    between two frames, as a share of it.
    """

    pitch_hz: float
    centroid_hz: float
    resonance_hz: float = TYPICAL_RESONANCE_HZ
    unsteadiness: float = 0.0


def measure_voiced_speech(clip: Clip) -> VoicedSpeech | None:
    """Measure a clip of speech; None for one that has hardly any voiced frame."""
    rate = clip.sample_rate
    frames, lags = _find_voiced_frames(clip.wave.float(), rate)
    if len(frames) < MIN_VOICED_FRAMES:
        return None
    power = torch.fft.rfft(frames).abs().square().mean(0)
    hertz = torch.arange(len(power)) * (rate / frames.shape[1])
    pitch = rate / lags.float()
    return VoicedSpeech(
        pitch_hz=float(pitch.median()),
        centroid_hz=float((power.sqrt() * hertz).sum() / power.sqrt().sum()),
        resonance_hz=_measure_resonance(clip),
        unsteadiness=float(pitch.log().diff().abs().median()),
    )


def estimate_woman(found: VoicedSpeech) -> float:
    """Return the log odds that a voice is a woman's, by pitch and resonance."""
    return WOMAN_BIAS + sum(
        weight * value for weight, value in zip(WOMAN_WEIGHTS, _get_logs(found), strict=True)
    )


def estimate_age(found: VoicedSpeech) -> float:
    """Return how old a voice sounds, higher for older, 0 for the mean of readers.

    A voice sounds younger by a higher pitch and resonance than usual for a woman or man, as of
    children, and older by unsteadiness. No ages are known of the readers: this is an estimate.
    """
    share = 1 / (1 + math.exp(-estimate_woman(found)))
    higher = [
        (value - share * woman - (1 - share) * man) / spread
        for value, woman, man, spread in zip(
            _get_logs(found), WOMEN_MEAN, MEN_MEAN, SPREAD_WITHIN_SEX, strict=True
        )
    ]
    unsteadiness = math.log2(found.unsteadiness + LEAST_UNSTEADINESS)
    unsteady = (unsteadiness - UNSTEADINESS_MEAN) / UNSTEADINESS_SPREAD
    return (unsteady - sum(higher) / len(higher)) / 2


def _get_logs(found: VoicedSpeech) -> tuple[float, float]:
    return math.log2(found.pitch_hz), math.log2(found.resonance_hz)


def _find_voiced_frames(wave: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Return the windowed voiced frames of a wave (n,), and the lags of their periods.

    Returns (f, w), (f,).
    """
    width = round(FRAME_S * rate)
    wave = F.pad(wave, (0, max(0, width - len(wave))))
    frames = wave.unfold(0, width, round(HOP_S * rate))
    frames = (frames - frames.mean(1, keepdim=True)) * torch.hann_window(width)
    levels = frames.square().mean(1).sqrt()
    lags, peaks = _find_periods(frames, rate)
    voiced = (peaks >= MIN_PERIODICITY) & (levels >= MIN_LEVEL * levels.max())
    return frames[voiced], lags[voiced]


def _measure_resonance(clip: Clip) -> float:
    """Return the lowest resonance of the vocal tract in Hz, by linear prediction."""
    frames, _ = _find_voiced_frames(clip.resample(LPC_RATE).wave.float(), LPC_RATE)
    found = [_find_resonances(frame.double().numpy()) for frame in frames[::FRAMES_PER_LPC]]
    kept = [pair for pair in found if pair is not None]
    if not kept:
        return TYPICAL_RESONANCE_HZ
    return float((np.median(np.array(kept), axis=0) / TUBE_MULTIPLES).mean())


def _find_resonances(frame: np.ndarray) -> np.ndarray | None:
    """Return the third and fourth resonance of a windowed frame (w,) in Hz; None without four."""
    sharp = np.append(frame[0], frame[1:] - PRE_EMPHASIS * frame[:-1])
    correlation = np.correlate(sharp, sharp, "full")[len(sharp) - 1 :][: LPC_ORDER + 1]
    first = correlation[:LPC_ORDER].copy()
    first[0] *= 1 + 1e-6  # so that a pure tone has a solution
    roots = np.roots(np.append(1, -solve_toeplitz(first, correlation[1:])))
    roots = roots[roots.imag > 0]
    hertz = np.angle(roots) * LPC_RATE / (2 * np.pi)
    widths = -np.log(np.abs(roots)) * LPC_RATE / np.pi
    is_resonance = (hertz > LOWEST_RESONANCE_HZ) & (hertz < HIGHEST_RESONANCE_HZ)
    found = np.sort(hertz[is_resonance & (widths < WIDEST_RESONANCE_HZ)])
    return found[2:4] if len(found) >= 4 else None


def _find_periods(frames: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Return the lag of the period of each frame, and its correlation: (f,), (f,).

    The period is the shortest peak that is nearly the highest; its multiples are as high.
    """
    width = frames.shape[1]
    spectrum = torch.fft.rfft(frames, 2 * width)
    correlation = torch.fft.irfft(spectrum.abs().square())[:, :width]
    window = torch.hann_window(width)
    falling = torch.fft.irfft(torch.fft.rfft(window, 2 * width).abs().square())[:width]
    shortest, longest = round(rate / HIGH_HZ), min(round(rate / LOW_HZ), width - 2)
    scaled = correlation / correlation[:, :1].clamp(min=1e-12) * (falling[0] / falling)
    inner = scaled[:, shortest : longest + 1]
    is_peak = (inner >= scaled[:, shortest - 1 : longest]) & (
        inner >= scaled[:, shortest + 1 : longest + 2]
    )
    highest = (inner * is_peak).amax(1, keepdim=True)
    lags = ((inner >= NEARLY * highest) & is_peak).int().argmax(1)
    return lags + shortest, inner.gather(1, lags[:, None])[:, 0]

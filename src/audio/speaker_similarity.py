"""Estimate whether clips have one speaker or two, by their spectra alone: a hint at best.

The voiced frames are split into the two groups that differ most, and the split is scored as by Chen
and Gopalakrishnan (Bayesian information criterion, DARPA 1998). Two rooms or microphones look like
two speakers; two similar voices look like one. Shapes: f frames, c cepstral coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import torch
from torch import Tensor

from audio.clip import Clip
from audio.mel import MelSpec, log_mel

SAMPLE_RATE = 16_000  # Hz
FRAMES_PER_S = 100
MEL_SPEC = MelSpec(
    sample_rate=SAMPLE_RATE, n_fft=512, hop=SAMPLE_RATE // FRAMES_PER_S, bands=40, low_hz=80.0,
    high_hz=7_600.0, scale="htk", norm=None, power=2.0,
)  # fmt: skip
COEFFICIENTS = slice(1, 20)  # without the first, which is loudness
SPEECH_RANGE = 6.0  # in natural-log mel, below the loudest
GROUP_FRAMES = 150  # voiced frames that are taken to be one person's
MIN_GROUPS = 3
MAX_GROUPS = 40  # longer recordings are split into larger groups
COVARIANCE_REGULARIZATION = 1e-3  # keeps a covariance invertible

TWO_SPEAKERS_THRESHOLD = 2.1
"""Two speakers are likely in a clip from this value on: none of 119 clips of one person reaches it,
and two thirds of the clips of 71 pairs of people do."""

CROSS_CLIP_THRESHOLD = 3.5
"""The same for separate clips, whose rooms and moods differ more."""


def compute_speaker_distance(clips: Sequence[Clip]) -> float | None:
    """Return how much better two speakers explain the clips than one; None for too little speech.

    About 1.2 for one speaker, 2.2 for two (medians over LibriSpeech); see `TWO_SPEAKERS_THRESHOLD`.
    """
    cepstra = [frames for frames in map(compute_voiced_cepstra, clips) if len(frames)]
    total = sum(map(len, cepstra))
    if total < MIN_GROUPS * GROUP_FRAMES:
        return None
    size = max(GROUP_FRAMES, total // MAX_GROUPS)
    halves = _cluster_into_two(
        [group for frames in cepstra for group in _split_frames(frames, size)]
    )
    return (
        _compute_log_likelihood_gain(*halves) / _compute_bic_penalty(torch.cat(halves))
        if len(halves) == 2
        else None
    )


def compute_voiced_cepstra(clip: Clip) -> Tensor:
    """Return the cepstrum of each voiced frame: (f, c)."""
    wave = clip.resample(SAMPLE_RATE).wave.float()
    if wave.shape[0] <= MEL_SPEC.n_fft:
        return torch.zeros(0, COEFFICIENTS.stop - COEFFICIENTS.start)
    mel = log_mel(wave, MEL_SPEC)[0]  # (bands, f)
    level = mel.mean(0)
    spoken = mel[:, level > level.quantile(0.95) - SPEECH_RANGE]
    return (_build_dct_matrix(MEL_SPEC.bands)[COEFFICIENTS] @ spoken).T.double()


def _split_frames(frames: Tensor, size: int) -> list[Tensor]:
    """Split into groups of `size` frames; the last takes the rest."""
    count = max(1, len(frames) // size)
    edges = [at * size for at in range(count)] + [len(frames)]
    return [frames[start:stop] for start, stop in pairwise(edges)]


def _cluster_into_two(pieces: Sequence[Tensor]) -> list[Tensor]:
    """Merge the most similar groups until two are left."""
    groups = dict(enumerate(pieces))
    gains = {
        pair: _compute_log_likelihood_gain(groups[pair[0]], groups[pair[1]])
        for pair in combinations(groups, 2)
    }
    for number in range(len(pieces), 2 * len(pieces) - 2):
        near = min(gains, key=gains.__getitem__)
        joined = torch.cat([groups.pop(near[0]), groups.pop(near[1])])
        gains = {pair: gain for pair, gain in gains.items() if not {*pair} & {*near}}
        gains |= {
            (other, number): _compute_log_likelihood_gain(group, joined)
            for other, group in groups.items()
        }
        groups[number] = joined
    return list(groups.values())


def _compute_log_likelihood_gain(one: Tensor, other: Tensor) -> float:
    """Return the natural log of how much likelier two Gaussians are than one."""
    both = torch.cat([one, other])
    spread = len(both) * _log_det(both) - len(one) * _log_det(one) - len(other) * _log_det(other)
    return 0.5 * spread


def _log_det(frames: Tensor) -> float:
    even = COVARIANCE_REGULARIZATION * torch.eye(frames.shape[1], dtype=frames.dtype)
    return float(torch.linalg.slogdet(frames.T.cov() + even).logabsdet)


def _compute_bic_penalty(frames: Tensor) -> float:
    size = frames.shape[1]
    return 0.5 * (size + size * (size + 1) / 2) * float(torch.tensor(len(frames)).log())


def _build_dct_matrix(bands: int) -> Tensor:
    """The orthonormal cosine transform of type two: (bands, bands)."""
    at = torch.arange(bands)
    table: Tensor = (
        torch.cos(torch.pi / bands * (at + 0.5)[None, :] * at[:, None]) * (2 / bands) ** 0.5
    )
    table[0] *= 0.5**0.5
    return table

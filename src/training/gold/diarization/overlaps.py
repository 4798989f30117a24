"""Find where two people speak at once, by a detector that is trained on the recording itself.

Single voices, changes from one voice to another, and overlapping voices are mixed from stretches
in which the diarization heard one speaker. A logistic regression over the likeness of a window to
the two nearest speakers, and over its harmonicity, tells overlaps from the other two.

Shapes: n samples, e embedding, k speakers, x features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from audio.clip import ClipError
from core.progress import ProgressReporter
from training.gold.diary import Turn

if TYPE_CHECKING:
    from training.gold.diarization.clustering import Embed, Window

RATE = 16_000
WINDOW_S = 1.6
EXAMPLES = 120  # of each kind
MIN_SHARE = 0.3  # of a window in which two voices overlap, in an example of an overlap
EDGE_S = 0.3  # at the ends of a turn, which may hold another speaker
THRESHOLD = 0.55  # of the probability, where the speaker changes
THRESHOLD_INSIDE = 0.9  # within a turn, where overlaps are rare
NEAR_CHANGE_S = 0.8
FRAME_S, HOP_S = 0.04, 0.01
LOWEST_HZ, HIGHEST_HZ = 70.0, 400.0
QUIET_DB = -25.0  # below the loudest frame

CutWave = Callable[[float, float], np.ndarray]


def find_overlaps(
    windows: Sequence[Window],
    turns: Sequence[Turn],
    centroids: np.ndarray,
    wave: CutWave,
    embed: Embed,
    report: ProgressReporter,
) -> tuple[tuple[float, float], ...]:
    """Return the stretches in which two people speak, in seconds.

    windows: of the whole recording; centroids: (k, e); turns: who speaks when. () where there is
    too little of two speakers to train the detector.
    """
    pure = _list_pure_stretches(turns)
    if len(pure) < 2 or len(centroids) < 2:
        return ()
    features, labels = make_examples(pure, centroids, wave, embed, report)
    if len(set(labels.tolist())) < 2:
        return ()
    detector = train_detector(features, labels)
    full = [one for one in windows if one.stop - one.start > 0.9 * WINDOW_S]
    if not full:
        return ()
    measured = np.stack(
        [
            measure_window(one.embedding, wave(one.start, one.stop), centroids)
            for one in report.track(full, "overlaps")
        ]
    )
    chances = detector.predict_proba(measured)[:, 1]
    changes = [
        (min(one.stop, two.start), max(one.stop, two.start))
        for one, two in pairwise(turns)
        if one.speaker != two.speaker
    ]
    centers = [one.center for one in full]
    return join_windows(centers, chances >= _choose_thresholds(centers, changes))


def make_examples(
    pure: dict[str, list[tuple[float, float]]],
    centroids: np.ndarray,
    wave: CutWave,
    embed: Embed,
    report: ProgressReporter,
) -> tuple[np.ndarray, np.ndarray]:
    """Mix single voices, changes and overlaps: features (n, x), and 1 for an overlap (n,).

    pure: speaker -> stretches of his alone, each at least a window long.
    """
    chooser = np.random.default_rng(0)
    names = sorted(pure)
    features, labels = [], []
    for number in report.track(range(3 * EXAMPLES), "overlaps"):
        first, second = chooser.choice(len(names), 2, replace=False)
        one, two = (_cut_piece(pure[names[at]], wave, chooser) for at in (first, second))
        mixed = _mix(one, two, number % 3, chooser)
        try:
            features.append(measure_window(embed(mixed), mixed, centroids))
        except ClipError:  # a pause
            continue
        labels.append(int(number % 3 == 2))
    return np.array(features), np.array(labels)


def train_detector(features: np.ndarray, labels: np.ndarray) -> Any:  # Any: scikit-learn's
    """Return a classifier of features (n, x) with labels (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    detector = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return detector.fit(features, labels)


def measure_window(embedding: np.ndarray, samples: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the features of a window: (x,). embedding: (e,); samples: (n,); centroids: (k, e)."""
    cosines = centroids @ embedding
    order = np.argsort(cosines)[::-1]
    top, second = cosines[order[0]], cosines[order[1]]
    basis = np.linalg.qr(centroids[order[:2]].T)[0]
    rest = np.linalg.norm(embedding - basis @ (basis.T @ embedding))
    harmonic = measure_harmonicity(samples)
    return np.array([top, second, top - second, rest, *harmonic])


def measure_harmonicity(samples: np.ndarray) -> list[float]:
    """Return the quartiles of the harmonicity of the louder frames, and their share.

    The harmonicity is the highest normalized autocorrelation at a pitch of 70 to 400 Hz. A second
    voice lowers it.
    """
    size, hop = round(FRAME_S * RATE), round(HOP_S * RATE)
    if len(samples) < size:
        return [0.0, 0.0, 0.0, 0.0]
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    frames = frames - frames.mean(1, keepdims=True)
    power = (frames**2).mean(1)
    loud = power > power.max() * 10 ** (QUIET_DB / 10) + 1e-12
    if not loud.any():
        return [0.0, 0.0, 0.0, 0.0]
    spectrum = np.fft.rfft(frames[loud], 2 * size, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :size]
    lags = slice(int(RATE / HIGHEST_HZ), int(RATE / LOWEST_HZ))
    window = 1.0 - np.arange(size) / size
    normal = correlation[:, lags] / (correlation[:, :1] * window[lags] + 1e-12)
    peaks = normal.max(1)
    return [*np.percentile(peaks, [25, 50, 75]).tolist(), float(loud.mean())]


def join_windows(
    centers: Sequence[float], are_shared: np.ndarray
) -> tuple[tuple[float, float], ...]:
    """Join the windows that hold an overlap to stretches around their centers.

    are_shared: whether each window holds one, (w,).
    """
    half = WINDOW_S / 4
    found: list[tuple[float, float]] = []
    for center, is_shared in zip(centers, are_shared, strict=True):
        if not is_shared:
            continue
        start, stop = max(0.0, center - half), center + half
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return tuple(found)


def _choose_thresholds(
    centers: Sequence[float], changes: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Return the threshold of each window: (w,). changes: from one speaker to another."""
    edges = np.array(changes).reshape(-1, 2)
    at = np.array(centers)[:, None]
    is_near = (at >= edges[:, 0] - NEAR_CHANGE_S) & (at <= edges[:, 1] + NEAR_CHANGE_S)
    return np.where(is_near.any(1), THRESHOLD, THRESHOLD_INSIDE)


def _list_pure_stretches(turns: Sequence[Turn]) -> dict[str, list[tuple[float, float]]]:
    pure: dict[str, list[tuple[float, float]]] = {}
    for turn in turns:
        start, stop = turn.start + EDGE_S, turn.stop - EDGE_S
        if stop - start >= WINDOW_S:
            pure.setdefault(turn.speaker, []).append((start, stop))
    return pure


def _cut_piece(
    stretches: Sequence[tuple[float, float]], wave: CutWave, chooser: np.random.Generator
) -> np.ndarray:
    """Cut a window from the stretches of a speaker, at a common loudness."""
    start, stop = stretches[int(chooser.integers(len(stretches)))]
    at = float(chooser.uniform(start, stop - WINDOW_S))
    samples = wave(at, at + WINDOW_S)[: round(WINDOW_S * RATE)]
    level = 0.05 * 10 ** float(chooser.uniform(-0.2, 0.2))
    return np.asarray(samples * level / max(float(np.sqrt((samples**2).mean())), 1e-5))


def _mix(one: np.ndarray, two: np.ndarray, kind: int, chooser: np.random.Generator) -> np.ndarray:
    """Return one voice (0), a change to the other (1), or a stretch of both (2)."""
    size = min(len(one), len(two))
    if kind == 0:
        return one[:size].astype(np.float32)
    share = float(chooser.uniform(MIN_SHARE, 1.0)) if kind == 2 else 0.0
    begin = round(size * float(chooser.uniform(0.0, 1.0 - share)))
    end = begin + round(size * share)
    times = np.arange(size)
    mixed = one[:size] * (times < end) + two[:size] * (times >= begin)
    return np.asarray(mixed, dtype=np.float32)

"""Find who speaks when: speaker embeddings of short windows, clustered.

Shapes: w windows, e embedding, k speakers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from audio.clip import ClipError
from core.progress import ProgressReporter
from training.gold.diary import Turn, merge_turns
from training.gold.project_files import DiarizationOptions

MAX_CLUSTERED = 3_000  # windows; more are assigned to the clusters of a sample of them
MAX_SPEAKERS = 10
SHARPNESS = 12.0  # from cosine to log-probability
SWITCH_COST = 3.0  # of a change of speaker between two windows
SWITCH_COST_AT_PAUSE = 0.7  # where speech pauses between them
MIN_TURN_S = 0.4

Embed = Callable[[np.ndarray], np.ndarray]
"""A wave (n,) at 16 kHz to an embedding (e,) of unit length. Raises ClipError without speech."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of speech with its embedding. span: the number of the stretch of speech."""

    start: float
    stop: float
    span: int
    embedding: np.ndarray

    @property
    def center(self) -> float:
        return (self.start + self.stop) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarization:
    """Who speaks when. turns: of "speaker 1", "speaker 2", … in the order of their first turns;
    centroids: (k, e); overlaps: seconds in which two speak."""

    turns: tuple[Turn, ...]
    centroids: np.ndarray
    overlaps: tuple[tuple[float, float], ...] = ()


def embed_windows(
    wave: Callable[[float, float], np.ndarray],
    speech: Sequence[tuple[float, float]],
    embed: Embed,
    options: DiarizationOptions,
    report: ProgressReporter,
) -> list[Window]:
    """Embed overlapping windows of the speech.

    wave: returns the samples between two times, at 16 kHz; speech: spans in seconds.
    """
    cuts = [
        (number, start, stop)
        for number, (begin, end) in enumerate(speech)
        for start, stop in _cut_span(begin, end, options)
    ]
    windows = []
    for number, start, stop in report.track(cuts, "diarize"):
        try:
            embedding = embed(wave(start, stop))
        except ClipError:  # a noise that the voice activity detector took for speech
            continue
        windows.append(Window(start, stop, number, embedding))
    return windows


def diarize_windows(
    windows: Sequence[Window], speech: Sequence[tuple[float, float]], options: DiarizationOptions
) -> Diarization:
    """Cluster windows to speakers, and smooth the changes between them."""
    if not windows:
        return Diarization(turns=(), centroids=np.zeros((0, 0)))
    embeddings = np.stack([window.embedding for window in windows])
    centroids = _find_centroids(embeddings, options)
    labels = _decode(windows, embeddings @ centroids.T)
    turns = _to_turns(windows, labels, speech)
    order = list(dict.fromkeys(turn.speaker for turn in turns))
    names = {label: f"speaker {number}" for number, label in enumerate(order, 1)}
    return Diarization(
        turns=tuple(
            Turn(start=turn.start, stop=turn.stop, speaker=names[turn.speaker]) for turn in turns
        ),
        centroids=centroids[[int(label) for label in order]],
    )


def _cut_span(begin: float, end: float, options: DiarizationOptions) -> list[tuple[float, float]]:
    """Cut a stretch of speech into windows; a short one is a window of its own."""
    if end - begin <= options.window_s:
        return [(begin, end)]
    starts = np.arange(begin, end - options.min_window_s, options.step_s)
    return [(float(at), min(float(at) + options.window_s, end)) for at in starts]


def _find_centroids(embeddings: np.ndarray, options: DiarizationOptions) -> np.ndarray:
    """Return the mean embedding of each speaker: (k, e), of unit length."""
    stride = -(-len(embeddings) // MAX_CLUSTERED)
    sample = embeddings[::stride]
    wanted = options.speakers
    if len(sample) < 2 or wanted == 1:
        return _normalize(embeddings.mean(0, keepdims=True))
    counts = [min(wanted, len(sample))] if wanted else range(2, min(MAX_SPEAKERS, len(sample)) + 1)
    best = max(
        ((_score(sample, labels), labels) for labels in _cluster_all(sample, counts, options)),
        key=lambda scored: scored[0],
    )[1]
    centroids = _means(sample, best)
    return centroids if wanted else _merge_alike(sample, best, options.same_speaker_cosine)


def _cluster_all(
    sample: np.ndarray, counts: Sequence[int], options: DiarizationOptions
) -> list[np.ndarray]:
    from sklearn.cluster import AgglomerativeClustering, SpectralClustering

    if options.method == "spectral":
        affinity = np.clip(sample @ sample.T, 0.0, 1.0) ** 4
        return [
            SpectralClustering(count, affinity="precomputed", random_state=0).fit_predict(affinity)
            for count in counts
        ]
    return [
        AgglomerativeClustering(count, metric="cosine", linkage="average").fit_predict(sample)
        for count in counts
    ]


def _score(sample: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import silhouette_score

    if not 1 < len(set(labels.tolist())) < len(sample):
        return -1.0
    return float(silhouette_score(sample, labels, metric="cosine"))


def _merge_alike(sample: np.ndarray, labels: np.ndarray, limit: float) -> np.ndarray:
    """Join clusters whose means are too alike to be two speakers; return the means."""
    labels = labels.copy()
    while True:
        centroids = _means(sample, labels)
        likeness = centroids @ centroids.T - 2 * np.eye(len(centroids))
        first, second = np.unravel_index(likeness.argmax(), likeness.shape)
        if len(centroids) < 2 or likeness[first, second] < limit:
            return centroids
        known = np.unique(labels)
        labels[labels == known[second]] = known[first]


def _means(sample: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return _normalize(np.stack([sample[labels == label].mean(0) for label in np.unique(labels)]))


def _normalize(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def _decode(windows: Sequence[Window], cosines: np.ndarray) -> np.ndarray:
    """Return the most likely speaker of each window (Viterbi): (w,)."""
    scores = SHARPNESS * cosines
    count, speakers = scores.shape
    best, back = scores[0], np.zeros((count, speakers), dtype=int)
    for index in range(1, count):
        paused = windows[index].span != windows[index - 1].span
        cost = SWITCH_COST_AT_PAUSE if paused else SWITCH_COST
        switched = best.max() - cost
        back[index] = np.where(best >= switched, np.arange(speakers), best.argmax())
        best = np.maximum(best, switched) + scores[index]
    labels = np.zeros(count, dtype=int)
    labels[-1] = int(best.argmax())
    for index in range(count - 1, 0, -1):
        labels[index - 1] = back[index, labels[index]]
    return labels


def _to_turns(
    windows: Sequence[Window], labels: np.ndarray, speech: Sequence[tuple[float, float]]
) -> list[Turn]:
    """Turn labelled windows into turns; within speech a change lies between window centers."""
    turns: list[Turn] = []
    for span in sorted({window.span for window in windows}):
        members = [index for index, window in enumerate(windows) if window.span == span]
        begin, end = speech[span]
        edges = [begin]
        runs = [labels[members[0]]]
        for before, after in pairwise(members):
            if labels[before] != labels[after]:
                edges.append((windows[before].center + windows[after].center) / 2)
                runs.append(labels[after])
        for start, stop, label in zip(edges, [*edges[1:], end], runs, strict=True):
            turns.append(Turn(start=start, stop=stop, speaker=str(label)))
    return _absorb_short(merge_turns(turns))


def _absorb_short(turns: list[Turn]) -> list[Turn]:
    """Give very short turns between two turns of one speaker to that speaker."""
    kept = list(turns)
    for index in range(1, len(turns) - 1):
        is_inside = kept[index - 1].speaker == turns[index + 1].speaker
        if is_inside and turns[index].duration < MIN_TURN_S:
            kept[index] = replace(turns[index], speaker=turns[index + 1].speaker)
    return merge_turns(kept)

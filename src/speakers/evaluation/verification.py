"""Speaker verification: the scores of all pairs, equal error rate and DET curve.

n utterances, d values of an embedding, t trials (pairs of utterances).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import det_curve

from core.errors import AppError
from speakers.modules.eer import compute_eer

Floats = npt.NDArray[np.float64]
MIN_SPEAKERS = 2
MIN_UTTERANCES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Pairs of utterances. scores: (t,) cosine similarity; same: (t,) whether one person speaks."""

    scores: Floats
    same: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How well an encoder tells speakers apart.

    eer: where as many impostors are accepted as speakers are rejected;  threshold: the similarity
    there;  same, different: mean similarity of pairs of one speaker, and of two.
    """

    eer: float
    threshold: float
    same: float
    different: float
    same_pairs: int
    different_pairs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetCurve:
    """False acceptance and false rejection at each threshold: (k,) each."""

    false_acceptance: Floats
    false_rejection: Floats
    thresholds: Floats


def make_trials(embeddings: npt.NDArray[np.float32], speakers: Sequence[str]) -> Trials:
    """Compare every two utterances once.  embeddings: (n, d);  speakers: n names.

    Raises AppError where no speaker has two utterances, or all are of one.
    """
    if embeddings.shape[0] != len(speakers):
        raise ValueError(f"{embeddings.shape[0]} embeddings for {len(speakers)} speakers")
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True).clip(1e-12)
    first, second = np.triu_indices(len(speakers), k=1)
    labels = np.unique(np.asarray(speakers), return_inverse=True)[1]
    same = labels[first] == labels[second]
    if not same.any() or same.all():
        raise AppError(
            f"Verification needs at least {MIN_SPEAKERS} speakers, one of them with "
            f"{MIN_UTTERANCES} utterances; there are {len(set(speakers))} speakers with "
            f"{len(speakers)} utterances."
        )
    scores = np.asarray(units @ units.T, np.float64)[first, second]
    return Trials(scores=scores, same=same)


def verify_speakers(trials: Trials) -> Verification:
    """Return the equal error rate of the trials and the threshold that gives it."""
    eer, threshold = compute_eer(trials.scores, trials.same)
    return Verification(
        eer=eer,
        threshold=threshold,
        same=float(trials.scores[trials.same].mean()),
        different=float(trials.scores[~trials.same].mean()),
        same_pairs=int(trials.same.sum()),
        different_pairs=int((~trials.same).sum()),
    )


def compute_det_curve(trials: Trials) -> DetCurve:
    """Return the detection error tradeoff of the trials."""
    accepted, rejected, thresholds = det_curve(trials.same, trials.scores)
    return DetCurve(false_acceptance=accepted, false_rejection=rejected, thresholds=thresholds)

"""The equal error rate of verification scores."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import numpy.typing as npt
from scipy.interpolate import interp1d
from scipy.optimize import brentq

from core.errors import AppError


def compute_eer(
    scores: npt.NDArray[np.floating], is_same: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the equal error rate, 0 to 1, and the threshold at which it is reached.

    scores: (k,), higher for more alike;  is_same: (k,), whether a pair is of one speaker.
    Raises AppError where scikit-learn is not installed.
    """
    try:
        roc_curve: Callable[..., tuple[npt.NDArray[np.float64], ...]]
        roc_curve = import_module("sklearn.metrics").roc_curve
    except ImportError as error:
        raise AppError(
            "The equal error rate needs scikit-learn. Install requirements-extra.txt."
        ) from error
    false_rate, true_rate, thresholds = roc_curve(is_same, scores, drop_intermediate=False)
    curve = interp1d(false_rate, true_rate)
    rate = float(brentq(lambda x: 1.0 - x - float(curve(x)), 0.0, 1.0))
    finite = np.minimum(thresholds, np.max(scores))
    return rate, float(np.interp(rate, false_rate, finite))


def compute_batch_eer(similarities: npt.NDArray[np.floating]) -> float:
    """Return the equal error rate of a training batch: (n, m, n) similarities to centroids."""
    speakers, utterances = similarities.shape[:2]
    is_same = np.repeat(np.eye(speakers, dtype=bool)[:, None], utterances, axis=1)
    return compute_eer(similarities.ravel(), is_same.ravel())[0]

"""Choose how much of a training a finetuned model takes: weights between those before and after.

A training on a few minutes of speech changes the voice soon and then forgets how to read other
texts. Weights in between keep both (arXiv:2109.01903).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

SHARES = (0.15, 0.3, 0.5, 0.75, 1.0)  # of the change that the training made
MAX_MORE_ERRORS = 0.03  # word error rate above that of the model before

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenQuality:
    """How a model speaks. similarity: to the speaker; wer: None where no recognizer is there."""

    similarity: float
    wer: float | None


def blend_weights(before: Weights, after: Weights, share: float) -> dict[str, Tensor]:
    """Return weights between two networks of the same shape; share 1 is `after`."""
    return {
        name: before[name].float().lerp(tensor.float(), share)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in after.items()
    }


def choose_share(before: SpokenQuality, measure: Callable[[float], SpokenQuality]) -> float:
    """Return the share whose speech is most similar to the speaker without more wrong words.

    measure: speaks with a share and measures. Returns 0 where every share has more wrong words
    than allowed, or a lower similarity.
    """
    best, chosen = before.similarity, 0.0
    for share in SHARES:
        found = measure(share)
        if found.wer is not None and found.wer > (before.wer or 0.0) + MAX_MORE_ERRORS:
            break  # a larger share forgets more
        if found.similarity > best:
            best, chosen = found.similarity, share
    return chosen

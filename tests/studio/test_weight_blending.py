"""How much of a training a finetuned model takes."""

from __future__ import annotations

import pytest
import torch

from studio.workers.datasets.weight_blending import SpokenQuality, blend_weights, choose_share

BEFORE = SpokenQuality(similarity=0.7, wer=0.1)


@pytest.mark.parametrize(
    ("similarities", "errors", "expected"),
    [
        ([0.72, 0.75, 0.8, 0.85, 0.9], [0.1, 0.1, 0.1, 0.1, 0.1], 1.0),
        ([0.72, 0.75, 0.8, 0.85, 0.9], [0.1, 0.12, 0.14, 0.1, 0.1], 0.3),
        ([0.72, 0.75, 0.74, 0.73, 0.72], [None] * 5, 0.3),
        ([0.6, 0.65, 0.69, 0.6, 0.6], [0.1] * 5, 0.0),
        ([0.9] * 5, [0.5] * 5, 0.0),
    ],
)
def test_the_most_similar_share_without_more_errors_is_chosen(
    similarities: list[float], errors: list[float | None], expected: float
) -> None:
    measured = iter(zip(similarities, errors, strict=True))

    def measure(share: float) -> SpokenQuality:
        similarity, wer = next(measured)
        return SpokenQuality(similarity=similarity, wer=wer)

    assert choose_share(BEFORE, measure) == expected


def test_weights_between_two_networks() -> None:
    before = {"w": torch.tensor([0.0, 2.0], dtype=torch.float16), "step": torch.tensor(3)}
    after = {"w": torch.tensor([1.0, 4.0]), "step": torch.tensor(9)}
    made = blend_weights(before, after, 0.25)
    assert made["w"].tolist() == [0.25, 2.5] and int(made["step"]) == 9

"""A loss that leaves what it once was for good is noticed; bad luck is not."""

from __future__ import annotations

import pytest

from training.finetuning.optim.divergence import (
    PATIENCE,
    WARM_UP_STEPS,
    DivergenceDetector,
    DivergenceError,
)


def fed(*losses: float) -> DivergenceDetector:
    watch = DivergenceDetector()
    for loss in losses:
        watch.update(loss, loss / 2)
    return watch


def test_a_loss_far_above_its_best_for_long_is_a_divergence() -> None:
    watch = fed(*[1.0] * 20)
    with pytest.raises(
        DivergenceError, match=r"above 3 times its best for 30 steps \(.* against 1\)"
    ):
        for _ in range(100):
            watch.update(9.0, 9.0)
    assert watch.seen <= 20 + PATIENCE + 10


@pytest.mark.parametrize(
    "losses",
    [
        [8.0, 5.0, 3.0, *[1.0] * 60],
        [*[1.0] * 20, *([50.0] + [1.0] * 29) * 3],
        [*[1.0] * 20, *[2.9] * 100],
        [0.1, *[5.0] * (WARM_UP_STEPS + 100)],
    ],
    ids=["falling", "spikes", "a little higher", "one lucky first step"],
)
def test_what_is_no_divergence_goes_on(losses: list[float]) -> None:
    assert fed(*losses).seen == len(losses)


def test_what_it_has_seen_survives_a_restart() -> None:
    first, second = fed(*[1.0] * 15), DivergenceDetector()
    second.load_state_dict(first.state_dict())
    for watch in (first, second):
        watch.update(4.0, 2.0)
    assert second == first and second.mean == pytest.approx(9.5 / 16)


def test_the_mean_is_of_what_validation_measures() -> None:
    assert fed(2.0, 4.0).mean == pytest.approx(1.5)
    assert DivergenceDetector().mean is None

"""Checkpoints are let go of, but never the best and never the latest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.finetuning.checkpoints.selection import (
    CheckpointInfo,
    find_best_step,
    find_checkpoints_to_prune,
)


def points(*losses: float | None, stage: str = "gpt", first: int = 1) -> list[CheckpointInfo]:
    return [CheckpointInfo(step=first + n, stage=stage, loss=loss) for n, loss in enumerate(losses)]


def test_the_lowest_loss_and_the_latest_stay() -> None:
    told = points(3.0, 1.0, 2.0, 2.5, 2.7)
    assert find_best_step(told, "gpt") == 2
    assert find_checkpoints_to_prune(told, keep_last=1) == (1, 3, 4)
    assert find_checkpoints_to_prune(told, keep_last=2) == (1, 3)


def test_without_validation_the_latest_counts_as_the_best() -> None:
    told = points(None, None, None)
    assert find_best_step(told, "gpt") == 3 and find_checkpoints_to_prune(told, keep_last=1) == (
        1,
        2,
    )


def test_keeping_no_best_keeps_the_latest_of_each_stage() -> None:
    told = [*points(1.0, 2.0), *points(0.1, 0.2, stage="diffusion", first=3)]
    assert find_best_step(told, "gpt", keep_best=False) == 2
    assert find_checkpoints_to_prune(told, keep_last=1, keep_best=False) == (1, 3)


def test_a_stage_without_checkpoints_has_no_best() -> None:
    assert find_best_step(points(1.0), "diffusion") is None


def test_what_sounds_right_is_taken_and_the_lowest_loss_stays_beside_it() -> None:
    told = [
        CheckpointInfo(step=1, stage="gpt", loss=2.0, wer=0.1, similarity=0.8),
        CheckpointInfo(step=2, stage="gpt", loss=1.0, wer=0.9, similarity=0.8),
        CheckpointInfo(step=3, stage="gpt", loss=1.5, wer=0.9, similarity=0.8),
        CheckpointInfo(step=4, stage="gpt", loss=1.6, wer=0.9, similarity=0.8),
    ]
    assert find_best_step(told, "gpt") == 1
    assert find_checkpoints_to_prune(told, keep_last=1) == (3,)


losses = st.one_of(st.none(), st.floats(0.0, 9.0))


@given(st.lists(losses, min_size=1, max_size=12), st.integers(1, 5), st.booleans())
def test_deleting_never_takes_the_best_or_the_latest_and_then_finds_nothing_more(
    given_losses: list[float | None], keep_last: int, keep_best: bool
) -> None:
    told = points(*given_losses)
    gone = set(find_checkpoints_to_prune(told, keep_last, keep_best))
    left = [point for point in told if point.step not in gone]
    assert find_best_step(told, "gpt", keep_best) not in gone
    assert not gone & {point.step for point in told[-keep_last:]}
    assert find_best_step(left, "gpt", keep_best) == find_best_step(told, "gpt", keep_best)
    assert find_checkpoints_to_prune(left, keep_last, keep_best) == ()

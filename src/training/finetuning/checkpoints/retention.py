"""Which checkpoints to keep: the best of each stage and the latest. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.finetuning.checkpoints.selection import (
    SampleScores,
    ValidationResult,
    select_best_checkpoint,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """One checkpoint. loss: of validation;  wer, similarity: of its sample;  None: not measured."""

    step: int
    stage: str
    loss: float | None = None
    train_loss: float | None = None
    wer: float | None = None
    similarity: float | None = None


def find_best_step(
    points: Sequence[CheckpointInfo], stage: str, keep_best: bool = True
) -> int | None:
    """Return the step of the best checkpoint of a stage by `select_best_checkpoint`.

    The latest where nothing was measured, or without `keep_best`; None where there is none.
    """
    own = sorted((point for point in points if point.stage == stage), key=lambda point: point.step)
    if not own:
        return None
    validations = [
        ValidationResult(step=point.step, loss=point.loss, train_loss=point.train_loss)
        for point in own
        if point.loss is not None
    ]
    scores = [
        SampleScores(step=point.step, wer=point.wer, similarity=point.similarity)
        for point in own
        if point.wer is not None or point.similarity is not None
    ]
    chosen = select_best_checkpoint(validations, scores).step if keep_best else None
    return own[-1].step if chosen is None else chosen


def find_checkpoints_to_prune(
    points: Sequence[CheckpointInfo], keep_last: int, keep_best: bool = True
) -> tuple[int, ...]:
    """Return the steps whose checkpoints may be deleted.

    Of each stage, the best one stays, and the one with the lowest loss, which later scores may make
    the best.
    """
    kept: set[int | None] = set()
    for stage in {point.stage for point in points}:
        kept.add(find_best_step(points, stage, keep_best))
        validated = [p for p in points if p.stage == stage and p.loss is not None and keep_best]
        kept.update(p.step for p in sorted(validated, key=lambda p: (p.loss, p.step))[:1])
    steps = sorted(point.step for point in points)
    kept.update(steps[-max(1, keep_last) :])
    return tuple(step for step in steps if step not in kept)

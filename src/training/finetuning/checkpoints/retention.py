"""Which checkpoints stay on disk: the best of each stage, the latest, and no more. Light."""

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
    """One checkpoint. loss: on clips never learned from;  wer, similarity: of its sample.

    None stands for what was not measured.
    """

    step: int
    stage: str
    loss: float | None = None
    train_loss: float | None = None
    wer: float | None = None
    similarity: float | None = None


def find_best_step(
    points: Sequence[CheckpointInfo], stage: str, keep_best: bool = True
) -> int | None:
    """Return the step of the checkpoint that what follows a stage is made from.

    That is the one that `training.finetuning.checkpoints.selection` chooses; where nothing was
    measured, or without `keep_best`, the latest. None where the stage has no checkpoint.
    """
    own = sorted((point for point in points if point.stage == stage), key=lambda point: point.step)
    if not own:
        return None
    validations = [
        ValidationResult(step=point.step, loss=point.loss, train_loss=point.train_loss)
        for point in own
        if point.loss is not None
    ]
    judgements = [
        SampleScores(step=point.step, wer=point.wer, similarity=point.similarity)
        for point in own
        if point.wer is not None or point.similarity is not None
    ]
    chosen = select_best_checkpoint(validations, judgements).step if keep_best else None
    return own[-1].step if chosen is None else chosen


def find_checkpoints_to_prune(
    points: Sequence[CheckpointInfo], keep_last: int, keep_best: bool = True
) -> tuple[int, ...]:
    """Return the steps whose checkpoints may go.

    Never one that `find_best_step` returns, nor the one with the lowest loss of its stage, which a
    later
    judgement may bring back.
    """
    kept: set[int | None] = set()
    for stage in {point.stage for point in points}:
        kept.add(find_best_step(points, stage, keep_best))
        judged = [p for p in points if p.stage == stage and p.loss is not None and keep_best]
        kept.update(p.step for p in sorted(judged, key=lambda p: (p.loss, p.step))[:1])
    steps = sorted(point.step for point in points)
    kept.update(steps[-max(1, keep_last) :])
    return tuple(step for step in steps if step not in kept)

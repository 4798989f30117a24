"""Select the best checkpoint of a run, and which ones to keep. Light.

    select_best_checkpoint(validations, samples).step

The lowest validation loss decides. Scores of samples first rule out checkpoints with many more word
errors or much less speaker similarity than the best: a network can predict held-out clips better
and yet synthesize worse. A single sample is a rough measure, so the tolerances are wide.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

WER_TOLERANCE = 0.4  # five words of twelve, as much as a single sample varies
SIMILARITY_TOLERANCE = 0.1  # as much as one voice varies from sample to sample
OVERFITTING_PATIENCE = 3  # validations in a row above the best
LOSS_INCREASE_RATIO = 1.005  # a smaller increase is rounding
_STAGE_LABELS = {"gpt": "GPT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The loss on held-out clips at a step, and the training loss at the same time."""

    step: int
    loss: float
    train_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleScores:
    """The scores of the sample of a step.

    wer: word error rate;  similarity: with the speaker, 1 is best;  None: unknown.
    """

    step: int
    wer: float | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestCheckpoint:
    """The step to take, None where nothing is known, and why, in a sentence.

    overfitting: a sentence, or "";  overfit_since: the step with the lowest loss then, or None.
    """

    step: int | None = None
    why: str = ""
    overfitting: str = ""
    overfit_since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """One checkpoint. loss: of validation;  wer, similarity: of its sample;  None: not measured."""

    step: int
    stage: str
    loss: float | None = None
    train_loss: float | None = None
    wer: float | None = None
    similarity: float | None = None


def select_best_checkpoint(
    validations: Sequence[ValidationResult],
    samples: Sequence[SampleScores] = (),
    kept: Collection[int] | None = None,
    stage: str = "",
) -> BestCheckpoint:
    """Select one of the validated or scored steps; of equals the earliest.

    kept: the steps whose checkpoints exist; None: all.  stage: named in the explanation.
    """
    losses = {item.step: item for item in sorted(validations, key=lambda item: item.step)}
    scores = {item.step: item for item in samples}
    known = set(losses) | set(scores)
    available = known if kept is None else known & set(kept)
    steps = sorted(available & set(losses) & set(scores) or available & set(losses) or available)
    if not steps:
        return BestCheckpoint()
    good = _filter_by_sample_scores([scores.get(step, SampleScores(step=step)) for step in steps])
    best = min(good, key=lambda step: losses[step].loss) if good[0] in losses else good[-1]
    since = _find_overfitting_step(list(losses.values()))
    return BestCheckpoint(
        step=best,
        why=_explain_selection(best, losses, scores, len(good) < len(steps), stage),
        overfitting=""
        if since is None
        else _format_overfitting_warning(since, best, list(losses.values())),
        overfit_since=since,
    )


def _filter_by_sample_scores(scores: Sequence[SampleScores]) -> list[int]:
    """Return the steps whose word error rate, then similarity, is near the best."""
    fewest = min((item.wer for item in scores if item.wer is not None), default=None)
    clear = [
        item
        for item in scores
        if fewest is None or (item.wer is not None and item.wer <= fewest + WER_TOLERANCE)
    ]
    closest = max((i.similarity for i in clear if i.similarity is not None), default=None)
    return [
        item.step
        for item in clear
        if closest is None
        or (item.similarity is not None and item.similarity >= closest - SIMILARITY_TOLERANCE)
    ]


def _explain_selection(
    best: int,
    losses: dict[int, ValidationResult],
    scores: dict[int, SampleScores],
    filtered: bool,
    stage: str,
) -> str:
    facts = []
    if best in losses:
        facts.append(f"validation loss {losses[best].loss:.3f}")
    sample = scores.get(best, SampleScores(step=best))
    if sample.wer is not None:
        facts.append(f"WER {sample.wer:.0%}")
    if sample.similarity is not None:
        facts.append(f"similarity {sample.similarity:.2f}")
    lowest = "the lowest validation loss" if best in losses else "the latest"
    among = f" of the {_STAGE_LABELS.get(stage, stage)} stage" if stage else ""
    among += " of those with a good sample" if filtered else ""
    return f"Step {best}: {lowest}{among} ({', '.join(facts) or 'nothing was measured'})."


def _find_overfitting_step(validations: Sequence[ValidationResult]) -> int | None:
    """Return the step with the lowest loss where all later ones are higher, else None."""
    if not validations:
        return None
    lowest = min(validations, key=lambda item: item.loss)
    after = [item for item in validations if item.step > lowest.step]
    rises = [item for item in after if item.loss > lowest.loss * LOSS_INCREASE_RATIO]
    trained = [item.train_loss for item in (lowest, *after) if item.train_loss is not None]
    falls = len(trained) > 1 and trained[-1] < trained[0]
    return lowest.step if len(rises) == len(after) >= OVERFITTING_PATIENCE and falls else None


def _format_overfitting_warning(
    since: int, best: int, validations: Sequence[ValidationResult]
) -> str:
    lowest = next(item for item in validations if item.step == since)
    last = validations[-1]
    return (
        f"Since step {since} the validation loss rises ({lowest.loss:.3f} to {last.loss:.3f}) "
        "while the training loss still falls: the network overfits. "
        f"Take the checkpoint of step {best}."
    )


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

"""Which checkpoint to take: the one that does best on clips it has not learned from.

    choose(validations, judgements).step

The validation loss decides. Where samples were judged, they rule out what clearly stumbles or
sounds like somebody else: a network can guess unheard clips ever better and yet fail when it speaks
by itself. One judged sentence is a rough measure, so what is not far from the best counts as good.

Light: no torch at import time; the trainer, the page and the command line ask it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

WER_TOLERANCE = 0.4  # five words of a sentence of twelve: a single sentence varies by that much
SIMILARITY_TOLERANCE = 0.1  # what the same voice differs by from sentence to sentence
OVERFITTING_PATIENCE = 3  # validations in a row above the best, before it is called over-fitting
LOSS_INCREASE_RATIO = 1.005  # a loss this much higher is no accident of rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What was guessed of unheard clips at a step, and of learned ones at the same time."""

    step: int
    loss: float
    train_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleScores:
    """How the sample of a step sounds.

    wer: share of wrong words, 0 is best;  similarity: with the speaker, 1 is best;  None: unknown.
    """

    step: int
    wer: float | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestCheckpoint:
    """Which checkpoint to take, None where nothing is known, and why, in a sentence.

    overfitting: a sentence, or "";  overfit_since: the step after which it got worse, or None.
    """

    step: int | None = None
    why: str = ""
    overfitting: str = ""
    overfit_since: int | None = None


def select_best_checkpoint(
    validations: Sequence[ValidationResult],
    judgements: Sequence[SampleScores] = (),
    kept: Collection[int] | None = None,
) -> BestCheckpoint:
    """Say which of the validated or judged steps to take; of equals the earliest.

    kept: the steps that can be taken, because their checkpoints are there; None: all.
    """
    losses = {item.step: item for item in sorted(validations, key=lambda item: item.step)}
    heard = {item.step: item for item in judgements}
    known = set(losses) | set(heard)
    there = known if kept is None else known & set(kept)
    steps = sorted(there & set(losses) & set(heard) or there & set(losses) or there)
    if not steps:
        return BestCheckpoint()
    good = _filter_by_sample_scores([heard.get(step, SampleScores(step=step)) for step in steps])
    best = min(good, key=lambda step: losses[step].loss) if good[0] in losses else good[-1]
    since = _find_overfitting_step(list(losses.values()))
    return BestCheckpoint(
        step=best,
        why=_explain_selection(best, losses, heard, len(good) < len(steps)),
        overfitting=""
        if since is None
        else _format_overfitting_warning(since, best, list(losses.values())),
        overfit_since=since,
    )


def _filter_by_sample_scores(heard: Sequence[SampleScores]) -> list[int]:
    """Return the steps whose words, and then whose voice, are not far from the best."""
    fewest = min((item.wer for item in heard if item.wer is not None), default=None)
    clear = [
        item
        for item in heard
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
    best: int, losses: dict[int, ValidationResult], heard: dict[int, SampleScores], judged: bool
) -> str:
    facts = []
    if best in losses:
        facts.append(f"validation loss {losses[best].loss:.3f}")
    sounds = heard.get(best, SampleScores(step=best))
    if sounds.wer is not None:
        facts.append(f"word errors {sounds.wer:.0%}")
    if sounds.similarity is not None:
        facts.append(f"similarity {sounds.similarity:.2f}")
    lowest = "it guesses unheard clips best" if best in losses else "it is the latest"
    among = " of those whose sample is understood and sounds like the speaker" if judged else ""
    return f"Step {best}: {lowest}{among} ({', '.join(facts) or 'nothing was measured'})."


def _find_overfitting_step(validations: Sequence[ValidationResult]) -> int | None:
    """Return the step with the lowest loss where all went up from there while training went on."""
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
        "while the training loss still falls: it learns the clips by heart instead of the voice. "
        f"Take the checkpoint of step {best}."
    )

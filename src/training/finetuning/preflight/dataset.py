"""Preflight checks of the clips. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.preflight.clips import PROBLEMS, ClipFacts, InspectedClips
from training.finetuning.preflight.findings import (
    FIX_IN_PREPARE,
    PreflightFacts,
    PreflightFinding,
    PreflightInput,
)

MIN_SPEECH_S = 60.0  # of speech
MAX_LISTED_CLIPS = 3


def make_unusable_dataset_finding(name: str, why: str) -> PreflightFinding:
    """Return the finding for a dataset that cannot be read or has no clips."""
    return PreflightFinding(
        level="stop",
        kind="no_dataset",
        what=f"The dataset {name!r} cannot be used.",
        why=why,
        fix="Prepare the dataset again, or choose another.",
        place=FIX_IN_PREPARE,
    )


def check_dataset(request: PreflightInput, facts: PreflightFacts) -> Iterator[PreflightFinding]:
    """Check the clips, and the batch sizes against them."""
    config, clips = request.config, facts.clips
    if not clips.train:
        yield make_unusable_dataset_finding(config.dataset.name, _explain_no_clips(clips))
        return
    yield from _check_left_out(clips)
    if config.schedule.steps:
        yield from _check_batch_size(config, len(clips.train))
    if config.diffusion.steps:
        yield from _check_diffusion_segments(config, clips)
    yield from _check_validation(config, clips)
    yield from _check_texts(clips)
    seconds = sum(clip.seconds for clip in clips.train)
    if seconds < MIN_SPEECH_S:
        yield PreflightFinding(
            level="warn",
            kind="little",
            what=f"There are only {seconds:.0f} s of speech.",
            why="With less than a minute the network overfits to these sentences.",
            fix="Add recordings and prepare the dataset again.",
            place=FIX_IN_PREPARE,
        )


def _explain_no_clips(clips: InspectedClips) -> str:
    if not clips.left_out:
        return "Its list of training clips is empty."
    return f"None of its clips can be used: {_format_problems(clips.left_out)}."


def _check_left_out(clips: InspectedClips) -> Iterator[PreflightFinding]:
    if not clips.left_out:
        return
    names = ", ".join(clip.audio for clip in clips.left_out[:MAX_LISTED_CLIPS])
    more = len(clips.left_out) - MAX_LISTED_CLIPS
    yield PreflightFinding(
        level="warn",
        kind="left_out",
        what=f"{_format_clip_count(len(clips.left_out))} will be skipped.",
        why=(
            f"{_format_problems(clips.left_out)}: {names}{f' and {more} more' if more > 0 else ''}."
        ),
        fix="Continue without them, or fix them in Prepare Dataset.",
        place=FIX_IN_PREPARE,
    )


def _check_batch_size(config: FinetuneConfig, clips: int) -> Iterator[PreflightFinding]:
    optimizer, processes = config.optimizer, config.machine.processes
    if clips < optimizer.batch:
        fitting = max(processes, clips - clips % processes)
        changes = {"optimizer.batch": fitting, "optimizer.accumulate": 1}
        if fitting > clips:
            changes = {"optimizer.batch": clips, "machine.processes": 1, "optimizer.accumulate": 1}
        yield _make_batch_finding("optimizer.batch", optimizer.batch, clips, changes)
    elif clips < optimizer.clips_per_step:
        fitting = max(1, clips // optimizer.batch)
        yield PreflightFinding(
            level="warn",
            kind="accumulate",
            what=f"One step takes {optimizer.clips_per_step} clips; there are {clips}.",
            why="Clips would be repeated within a step, which only takes longer.",
            fix=f"Set optimizer.accumulate to {fitting}.",
            changes={"optimizer.accumulate": fitting},
        )


def _make_batch_finding(
    key: str, batch: int, clips: int, changes: Mapping[str, int]
) -> PreflightFinding:
    return PreflightFinding(
        level="stop",
        kind="batch",
        what=f"{key} is {batch}, more clips than the dataset has.",
        why=f"There are {_format_clip_count(clips)} for training.",
        fix=f"Use {changes[key]}.",
        changes=changes,
    )


def _check_diffusion_segments(
    config: FinetuneConfig, clips: InspectedClips
) -> Iterator[PreflightFinding]:
    batch, window, count = config.diffusion.batch, config.diffusion.window, len(clips.train)
    if count < batch:
        yield _make_batch_finding("diffusion.batch", batch, count, {"diffusion.batch": count})
    longest = max(clip.codes for clip in clips.train)
    if window > longest:
        yield PreflightFinding(
            level="stop",
            kind="window",
            what=f"diffusion.window is {window} codes.",
            why=f"The longest clip has {longest}.",
            fix=f"Use {longest}.",
            changes={"diffusion.window": longest},
        )


def _check_validation(config: FinetuneConfig, clips: InspectedClips) -> Iterator[PreflightFinding]:
    if not clips.validation:
        yield PreflightFinding(
            level="warn",
            kind="no_validation",
            what="There are no validation clips.",
            why=f"{config.dataset.validation} is empty or not there, so the "
            "latest checkpoint counts as the best.",
            fix="Prepare the dataset again with a share for validation.",
            place=FIX_IN_PREPARE,
        )
        return
    train_texts = {_normalize_text(clip.text) for clip in clips.train}
    leaking = [clip for clip in clips.validation if _normalize_text(clip.text) in train_texts]
    if leaking:
        yield PreflightFinding(
            level="warn",
            kind="leak",
            what=f"The text of {_format_clip_count(len(leaking))} for validation is also in the "
            "training split.",
            why=f"The validation loss of clips such as {leaking[0].audio} is too low.",
            fix="Prepare the dataset again, or change its split.",
            place=FIX_IN_PREPARE,
        )


def _check_texts(clips: InspectedClips) -> Iterator[PreflightFinding]:
    odd = [clip for clip in clips.train if clip.unknown]
    if odd:
        symbols = list(dict.fromkeys(one for clip in odd for one in clip.unknown))
        yield PreflightFinding(
            level="warn",
            kind="unknown",
            what=f"The tokenizer drops words or symbols of {_format_clip_count(len(odd))}.",
            why=f"They are spoken in the audio but missing in the tokens: "
            f"{' '.join(symbols[:12])}.",
            fix="Spell them out when you review the dataset.",
            place=FIX_IN_PREPARE,
        )


def _format_problems(clips: Sequence[ClipFacts]) -> str:
    counts = Counter(clip.problem for clip in clips)
    return ", ".join(f"{count} {PROBLEMS[problem]}" for problem, count in counts.most_common())


def _normalize_text(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _format_clip_count(number: int) -> str:
    return "1 clip" if number == 1 else f"{number:,} clips"

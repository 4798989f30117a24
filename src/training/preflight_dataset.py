"""Whether there is something to learn from, and something to judge by. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from training.config import FinetuneConfig
from training.preflight_clips import PROBLEMS, ClipFacts, Clips
from training.preflight_found import PREPARE, Finding, Sight, Situation

FEW_S = 60.0  # of speech
SHOWN = 3


def no_dataset(name: str, why: str) -> Finding:
    """Say that a dataset cannot be learned from at all."""
    return Finding(
        level="stop",
        kind="no_dataset",
        what=f"The dataset {name!r} cannot be used.",
        why=why,
        fix="Prepare the dataset again, or choose another.",
        place=PREPARE,
    )


def dataset_findings(situation: Situation, seen: Sight) -> Iterator[Finding]:
    """Say what is wrong with the clips, and with what is asked of them."""
    config, clips = situation.config, seen.clips
    if not clips.train:
        yield no_dataset(config.dataset.name, _nothing_left(clips))
        return
    yield from _left_out(clips)
    if config.schedule.steps:
        yield from _batches(config, len(clips.train))
    if config.diffusion.steps:
        yield from _stretches(config, clips)
    yield from _validation(config, clips)
    yield from _texts(clips)
    seconds = sum(clip.seconds for clip in clips.train)
    if seconds < FEW_S:
        yield Finding(
            level="warn",
            kind="little",
            what=f"There are only {seconds:.0f} s of speech to learn from.",
            why="With less than a minute it learns these sentences rather than the voice.",
            fix="Add recordings and prepare the dataset again.",
            place=PREPARE,
        )


def _nothing_left(clips: Clips) -> str:
    if not clips.left_out:
        return "Its list of clips to learn from is empty."
    return f"None of its clips can be learned from: {_told_problems(clips.left_out)}."


def _left_out(clips: Clips) -> Iterator[Finding]:
    if not clips.left_out:
        return
    names = ", ".join(clip.audio for clip in clips.left_out[:SHOWN])
    more = len(clips.left_out) - SHOWN
    yield Finding(
        level="warn",
        kind="left_out",
        what=f"{_count(len(clips.left_out))} will be left out.",
        why=f"{_told_problems(clips.left_out)}: {names}{f' and {more} more' if more > 0 else ''}.",
        fix="Go on without them, or mend them in Prepare Dataset.",
        place=PREPARE,
    )


def _batches(config: FinetuneConfig, clips: int) -> Iterator[Finding]:
    optimizer, processes = config.optimizer, config.machine.processes
    if clips < optimizer.batch:
        fitting = max(processes, clips - clips % processes)
        changes = {"optimizer.batch": fitting, "optimizer.accumulate": 1}
        if fitting > clips:
            changes = {"optimizer.batch": clips, "machine.processes": 1, "optimizer.accumulate": 1}
        yield _batch("optimizer.batch", optimizer.batch, clips, changes)
    elif clips < optimizer.clips_per_step:
        fitting = max(1, clips // optimizer.batch)
        yield Finding(
            level="warn",
            kind="accumulate",
            what=f"One step takes {optimizer.clips_per_step} clips; there are {clips}.",
            why="It would hear the same clips several times within a step, which only costs time.",
            fix=f"Set optimizer.accumulate to {fitting}.",
            changes={"optimizer.accumulate": fitting},
        )


def _batch(key: str, batch: int, clips: int, changes: Mapping[str, int]) -> Finding:
    return Finding(
        level="stop",
        kind="batch",
        what=f"{key} is {batch}, more clips than the dataset has.",
        why=f"There are {_count(clips)} to learn from.",
        fix=f"Use {changes[key]}.",
        changes=changes,
    )


def _stretches(config: FinetuneConfig, clips: Clips) -> Iterator[Finding]:
    batch, window, count = config.diffusion.batch, config.diffusion.window, len(clips.train)
    if count < batch:
        yield _batch("diffusion.batch", batch, count, {"diffusion.batch": count})
    longest = max(clip.codes for clip in clips.train)
    if window > longest:
        yield Finding(
            level="stop",
            kind="window",
            what=f"diffusion.window is {window} codes.",
            why=f"The longest clip has {longest}.",
            fix=f"Use {longest}.",
            changes={"diffusion.window": longest},
        )


def _validation(config: FinetuneConfig, clips: Clips) -> Iterator[Finding]:
    if not clips.validation:
        yield Finding(
            level="warn",
            kind="no_validation",
            what="There are no clips to judge by.",
            why=f"{config.dataset.validation} is empty or not there, so nothing tells which "
            "checkpoint is the best: the last one is taken.",
            fix="Prepare the dataset again with a share for validation.",
            place=PREPARE,
        )
        return
    learned = {_plain(clip.text) for clip in clips.train}
    leaking = [clip for clip in clips.validation if _plain(clip.text) in learned]
    if leaking:
        yield Finding(
            level="warn",
            kind="leak",
            what=f"{_count(len(leaking))} to judge by {_have(len(leaking))} a text that is learned "
            "from too.",
            why=f"Judging by {leaking[0].audio} and the like looks better than it is.",
            fix="Prepare the dataset again, or change its split.",
            place=PREPARE,
        )


def _texts(clips: Clips) -> Iterator[Finding]:
    odd = [clip for clip in clips.train if clip.unknown]
    if odd:
        signs = list(dict.fromkeys(sign for clip in odd for sign in clip.unknown))
        yield Finding(
            level="warn",
            kind="unknown",
            what=f"{_count(len(odd))} {_have(len(odd))} words or signs the model cannot read.",
            why=f"They are said but not read, which confuses it: {' '.join(signs[:12])}.",
            fix="Write them in letters it knows, in the review of the dataset.",
            place=PREPARE,
        )


def _told_problems(clips: Sequence[ClipFacts]) -> str:
    counts = Counter(clip.problem for clip in clips)
    return ", ".join(f"{count} {PROBLEMS[problem]}" for problem, count in counts.most_common())


def _plain(text: str) -> str:
    """Return what counts of a text: its letters and digits."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _count(number: int) -> str:
    return "1 clip" if number == 1 else f"{number:,} clips"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"

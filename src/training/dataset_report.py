"""What a dataset is worth: minutes kept and dropped and why, lengths, loudness, what to look at.

Light: data for the page, and the same as text for the command line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from training.manifest import REASONS, REPLACED, ClipRow, Dataset

LITTLE_S, FEW_S = 60.0, 300.0  # kept; below is too little for good results, or little
LENGTH_STEP_S, LEVEL_STEP_DB = 1.0, 3.0
QUIETEST_DB = -60.0
BAR = 30  # signs of the longest bar in text
MANY = 0.5  # of the clips
SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """How many clips lie between two values."""

    low: float
    high: float
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Some clips together."""

    clips: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The state of a dataset.

    dropped_by, marked_by: reason -> clips dropped for it, clips kept though doubtful;  lengths: in
    seconds;  levels: in LUFS;  odd_pace … doubtful: ids, dropped or marked;  failed: recordings
    that could not be used, are gone or silent, and why;  remarks: what a person should know or do.
    """

    name: str
    kept: Share
    dropped: Share
    train: Share
    validation: Share
    dropped_by: dict[str, Share]
    marked_by: dict[str, Share]
    lengths: tuple[Bin, ...]
    levels: tuple[Bin, ...]
    odd_pace: tuple[str, ...]
    duplicates: tuple[str, ...]
    clipped: tuple[str, ...]
    noisy: tuple[str, ...]
    doubtful: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


def report_on(dataset: Dataset) -> Report:
    """Look at a dataset from every side."""
    clips = [clip for clip in dataset.clips if clip.reason not in REPLACED]
    kept = [clip for clip in clips if clip.kept]
    dropped = [clip for clip in clips if not clip.kept]
    levels = [clip for clip in clips if clip.level_db is not None]

    def named(reason: str) -> tuple[str, ...]:
        return tuple(clip.id for clip in clips if clip.reason == reason)

    return Report(
        name=dataset.name,
        kept=_share(kept),
        dropped=_share(dropped),
        train=_share(dataset.kept("train")),
        validation=_share(dataset.kept("validation")),
        dropped_by=_by_reason(dropped),
        marked_by=_by_reason([clip for clip in kept if clip.reason]),
        lengths=_bins(clips, lambda clip: clip.seconds, LENGTH_STEP_S),
        levels=_bins(levels, lambda clip: max(QUIETEST_DB, clip.level_db or 0.0), LEVEL_STEP_DB),
        odd_pace=named("odd_pace"),
        duplicates=named("duplicate"),
        clipped=named("clipped"),
        noisy=named("noisy"),
        doubtful=named("doubtful_text"),
        failed=tuple((row.path, row.message) for row in dataset.sources if row.message),
        remarks=tuple(_remarks(dataset, kept, dropped)),
    )


def report_text(report: Report) -> str:
    """Write a report down for a terminal."""
    lines = [
        f"{report.name}: {minutes(report.kept)} kept, {minutes(report.dropped)} dropped",
        f"  to learn from {minutes(report.train)}, to judge by {minutes(report.validation)}",
    ]
    lines += _reasons("Dropped", report.dropped_by) + _reasons("Kept but marked", report.marked_by)
    lines += _histogram("Length in seconds", report.lengths)
    lines += _histogram("Loudness in LUFS", report.levels)
    if report.failed:
        lines += ["", "Recordings to look at"]
        lines += [f"  {path}: {message}" for path, message in report.failed[:SHOWN]]
    if report.remarks:
        lines += ["", *report.remarks]
    return "\n".join(lines)


def minutes(share: Share) -> str:
    """Say how much that is: "3.2 minutes in 24 clips"."""
    clips = "1 clip" if share.clips == 1 else f"{share.clips:,} clips"
    return f"{share.seconds / 60:.1f} minutes in {clips}"


def _share(clips: Sequence[ClipRow]) -> Share:
    return Share(clips=len(clips), seconds=round(sum(clip.seconds for clip in clips), 1))


def _by_reason(clips: Sequence[ClipRow]) -> dict[str, Share]:
    """Return what each reason took, the most first."""
    counted = Counter(clip.reason or "by_hand" for clip in clips)
    return {
        reason: _share([clip for clip in clips if (clip.reason or "by_hand") == reason])
        for reason, _ in counted.most_common()
    }


def _bins(
    clips: Sequence[ClipRow], value: Callable[[ClipRow], float], step: float
) -> tuple[Bin, ...]:
    """Count clips in steps, from the lowest to the highest that occurs."""
    if not clips:
        return ()
    values = [value(clip) for clip in clips]
    first, last = (
        floor(min(values) / step),
        max(ceil(max(values) / step), 1 + floor(min(values) / step)),
    )
    kept = Counter(floor(v / step) for v, clip in zip(values, clips, strict=True) if clip.kept)
    all = Counter(floor(v / step) for v in values)
    return tuple(
        Bin(low=at * step, high=(at + 1) * step, kept=kept[at], dropped=all[at] - kept[at])
        for at in range(first, max(last, max(all) + 1))
    )


def _remarks(dataset: Dataset, kept: Sequence[ClipRow], dropped: Sequence[ClipRow]) -> list[str]:
    seconds = sum(clip.seconds for clip in kept)
    told = []
    if not kept:
        told.append("No clip is kept, so there is nothing to learn from.")
    elif seconds < LITTLE_S:
        told.append(
            f"Only {seconds:.0f} s are kept. A voice can be heard in it, but finetuning wants some "
            "minutes: add recordings."
        )
    elif seconds < FEW_S:
        told.append(
            f"{seconds / 60:.1f} minutes are kept. That is little: train with few steps and look "
            "at over-fitting; 10 to 60 minutes are better."
        )
    if any(row.state == "waiting" for row in dataset.sources):
        told.append("Not all recordings are done. Prepare the dataset again and it goes on there.")
    doubted = sum(clip.reason == "doubtful_text" for clip in dropped)
    if doubted > MANY * len(dataset.clips):
        told.append(
            f"The text of {doubted} of {len(dataset.clips)} clips is not what is said in them. "
            "Look whether the texts belong to these recordings. If they are right, prepare again "
            "and say which language they are in, or leave the text unchecked."
        )
    if kept and not any(clip.part == "validation" for clip in kept):
        told.append("No clip judges the training, so over-fitting cannot be seen.")
    if dataset.transcriber.startswith("pocketsphinx"):
        told.append("PocketSphinx wrote the text, with many errors. Look through it, worst first.")
    return told


def _reasons(title: str, shares: dict[str, Share]) -> list[str]:
    if not shares:
        return []
    rows = [f"  {minutes(share)}: {REASONS[reason]}" for reason, share in shares.items()]
    return ["", title, *rows]


def _histogram(title: str, bins: Sequence[Bin]) -> list[str]:
    most = max((one.kept + one.dropped for one in bins), default=0)
    if not most:
        return []
    rows = []
    for one in bins:
        kept = round(BAR * one.kept / most)
        dropped = round(BAR * (one.kept + one.dropped) / most) - kept
        counts = f"{one.kept}" + (f" and {one.dropped} dropped" if one.dropped else "")
        rows.append(f"  {one.low:4.0f} to {one.high:4.0f}  {'#' * kept}{'.' * dropped} {counts}")
    return ["", title, *rows]

"""Report on a dataset: minutes kept and dropped by reason, lengths, loudness, remarks. Light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from training.dataset_prep.manifest import CLIP_REASONS, REPLACED_REASONS, ClipRow, Dataset

MIN_KEPT_S, RECOMMENDED_KEPT_S = (
    60.0,
    300.0,
)  # kept; below is too little for good results, or little
LENGTH_BIN_S, LEVEL_BIN_DB = 1.0, 3.0
MIN_LEVEL_DB = -60.0
BAR_WIDTH = 30  # signs of the longest bar in text
DOUBTFUL_WARNING_FRACTION = 0.5  # of the clips
MAX_SOURCES_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramBin:
    """The number of clips between two values."""

    low: float
    high: float
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTotals:
    """Number and duration of some clips."""

    clips: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReport:
    """The report.

    dropped_by, marked_by: by reason; marked clips are kept though doubtful. lengths: seconds.
    levels: LUFS. odd_pace … doubtful: ids, dropped or marked. failed: unusable, missing or silent
    recordings, with the reason. remarks: advice.
    """

    name: str
    kept: ClipTotals
    dropped: ClipTotals
    train: ClipTotals
    validation: ClipTotals
    dropped_by: dict[str, ClipTotals]
    marked_by: dict[str, ClipTotals]
    lengths: tuple[HistogramBin, ...]
    levels: tuple[HistogramBin, ...]
    odd_pace: tuple[str, ...]
    duplicates: tuple[str, ...]
    clipped: tuple[str, ...]
    noisy: tuple[str, ...]
    doubtful: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


def build_dataset_report(dataset: Dataset) -> DatasetReport:
    """Build the report of a dataset."""
    clips = [clip for clip in dataset.clips if clip.reason not in REPLACED_REASONS]
    kept = [clip for clip in clips if clip.kept]
    dropped = [clip for clip in clips if not clip.kept]
    levels = [clip for clip in clips if clip.level_db is not None]

    def named(reason: str) -> tuple[str, ...]:
        return tuple(clip.id for clip in clips if clip.reason == reason)

    return DatasetReport(
        name=dataset.name,
        kept=_sum_clips(kept),
        dropped=_sum_clips(dropped),
        train=_sum_clips(dataset.kept("train")),
        validation=_sum_clips(dataset.kept("validation")),
        dropped_by=_sum_by_reason(dropped),
        marked_by=_sum_by_reason([clip for clip in kept if clip.reason]),
        lengths=_make_histogram(clips, lambda clip: clip.seconds, LENGTH_BIN_S),
        levels=_make_histogram(
            levels, lambda clip: max(MIN_LEVEL_DB, clip.level_db or 0.0), LEVEL_BIN_DB
        ),
        odd_pace=named("odd_pace"),
        duplicates=named("duplicate"),
        clipped=named("clipped"),
        noisy=named("noisy"),
        doubtful=named("doubtful_text"),
        failed=tuple((row.path, row.message) for row in dataset.sources if row.message),
        remarks=tuple(_list_remarks(dataset, kept, dropped)),
    )


def format_dataset_report(report: DatasetReport) -> str:
    """Format a report for a terminal."""
    lines = [
        f"{report.name}: {format_minutes(report.kept)} kept, {format_minutes(report.dropped)} "
        f"dropped",
        f"  training {format_minutes(report.train)}, validation "
        f"{format_minutes(report.validation)}",
    ]
    lines += _format_reasons("Dropped", report.dropped_by) + _format_reasons(
        "Kept, to check", report.marked_by
    )
    lines += _format_histogram("Length in seconds", report.lengths)
    lines += _format_histogram("Loudness in LUFS", report.levels)
    if report.failed:
        lines += ["", "Recordings with problems"]
        lines += [f"  {path}: {message}" for path, message in report.failed[:MAX_SOURCES_SHOWN]]
    if report.remarks:
        lines += ["", *report.remarks]
    return "\n".join(lines)


def format_minutes(share: ClipTotals) -> str:
    """Format totals: "3.2 minutes in 24 clips"."""
    clips = "1 clip" if share.clips == 1 else f"{share.clips:,} clips"
    return f"{share.seconds / 60:.1f} minutes in {clips}"


def _sum_clips(clips: Sequence[ClipRow]) -> ClipTotals:
    return ClipTotals(clips=len(clips), seconds=round(sum(clip.seconds for clip in clips), 1))


def _sum_by_reason(clips: Sequence[ClipRow]) -> dict[str, ClipTotals]:
    """Return the totals by reason, the largest first."""
    counted = Counter(clip.reason or "by_hand" for clip in clips)
    return {
        reason: _sum_clips([clip for clip in clips if (clip.reason or "by_hand") == reason])
        for reason, _ in counted.most_common()
    }


def _make_histogram(
    clips: Sequence[ClipRow], value: Callable[[ClipRow], float], step: float
) -> tuple[HistogramBin, ...]:
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
        HistogramBin(low=at * step, high=(at + 1) * step, kept=kept[at], dropped=all[at] - kept[at])
        for at in range(first, max(last, max(all) + 1))
    )


def _list_remarks(
    dataset: Dataset, kept: Sequence[ClipRow], dropped: Sequence[ClipRow]
) -> list[str]:
    seconds = sum(clip.seconds for clip in kept)
    remarks = []
    if not kept:
        remarks.append("No clip is kept, so there is nothing to train on.")
    elif seconds < MIN_KEPT_S:
        remarks.append(
            f"Only {seconds:.0f} s are kept. Finetuning needs several minutes: add recordings."
        )
    elif seconds < RECOMMENDED_KEPT_S:
        remarks.append(
            f"{seconds / 60:.1f} minutes are kept, which is little: train with few steps and "
            "watch for overfitting; 10 to 60 minutes are recommended."
        )
    if any(row.state == "waiting" for row in dataset.sources):
        remarks.append("Not all recordings are processed. Prepare the dataset again to continue.")
    doubted = sum(clip.reason == "doubtful_text" for clip in dropped)
    if doubted > DOUBTFUL_WARNING_FRACTION * len(dataset.clips):
        remarks.append(
            f"The text of {doubted} of {len(dataset.clips)} clips does not match the audio. "
            "Check that the transcripts belong to these recordings. If they do, prepare again "
            "with the right language, or turn off Check Transcripts."
        )
    if kept and not any(clip.part == "validation" for clip in kept):
        remarks.append("There are no validation clips, so overfitting cannot be detected.")
    if dataset.transcriber.startswith("pocketsphinx"):
        remarks.append(
            "PocketSphinx transcribed with many errors. Review the text, worst clips first."
        )
    return remarks


def _format_reasons(title: str, shares: dict[str, ClipTotals]) -> list[str]:
    if not shares:
        return []
    rows = [
        f"  {format_minutes(share)}: {CLIP_REASONS[reason]}" for reason, share in shares.items()
    ]
    return ["", title, *rows]


def _format_histogram(title: str, bins: Sequence[HistogramBin]) -> list[str]:
    most = max((one.kept + one.dropped for one in bins), default=0)
    if not most:
        return []
    rows = []
    for one in bins:
        kept = round(BAR_WIDTH * one.kept / most)
        dropped = round(BAR_WIDTH * (one.kept + one.dropped) / most) - kept
        counts = f"{one.kept}" + (f" and {one.dropped} dropped" if one.dropped else "")
        rows.append(f"  {one.low:4.0f} to {one.high:4.0f}  {'#' * kept}{'.' * dropped} {counts}")
    return ["", title, *rows]

"""Synthesize a CSV table row by row; finished rows are kept, invalid rows are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from core.errors import AppError, UnrecoverableError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from core.serialization import to_dict
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.batch_csv import (
    BatchItem,
    BatchRow,
    InvalidBatchRow,
    append_item,
    write_items_csv,
)
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
)
from studio.voices.catalog import resolve_random_seed
from text.script import VOICE

AUTOMATIC_VALUES: Mapping[str, Any] = MappingProxyType({"precision": "fast"})
"""Values instead of which a clip records what the engine chose."""
UNRECORDED_VALUES = (("precision", "exact"),)
"""What clips have that were made before the option existed."""


class SpeechSynthesizer(Protocol):
    """Protocol of the object that synthesizes rows and keeps models loaded."""

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        """Synthesize one request and write its clips."""
        ...

    def weights_id(self, request: SpeechRequest, report: ProgressReporter) -> str:
        """Return the id of the weights that the request uses."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """Result of a batch: the list of its clips, and the failed rows."""

    items: str
    spoken: int
    kept: int
    failed: tuple[InvalidBatchRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOutcome:
    """The clip of a row, or the reason why there is none; was_there: of an earlier run."""

    number: int
    item: BatchItem | None = None
    was_there: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """Context of all rows."""

    folder: Path
    request_input: SpeechRequestInput
    layout: ProjectPaths
    settings: Settings
    synthesizer: SpeechSynthesizer
    report: ProgressReporter


def synthesize_batch(rows: Sequence[BatchRow | InvalidBatchRow], job: BatchJob) -> BatchResult:
    """Synthesize the rows into the folder and list them in items.csv, row by row.

    Raises AppError for errors that affect every row, such as missing weights.
    """
    return collect_outcomes((synthesize_row(row, job) for row in rows), len(rows), job)


def collect_outcomes(outcomes: Iterable[RowOutcome], total: int, job: BatchJob) -> BatchResult:
    """List the clips of a table in items.csv as they come, at the end in the order of the table.

    Each clip adds a line to the file, so that a long table costs the same for every row.
    """
    found: list[RowOutcome] = []
    listed = write_items_csv(_create_folder(job.folder), ())
    for outcome in outcomes:
        found.append(outcome)
        if outcome.item is None:
            job.report.warn(f"Row {outcome.number} was left out: {outcome.reason}", stage="table")
        else:
            append_item(job.folder, outcome.item)
        job.report.emit(ProgressEvent(kind="progress", stage="table", done=len(found), total=total))
        job.report.check_cancelled()
    in_order = sorted(found, key=lambda outcome: outcome.number)
    items = [outcome.item for outcome in in_order if outcome.item is not None]
    write_items_csv(job.folder, items)
    kept = sum(outcome.was_there for outcome in found)
    failed = tuple(
        InvalidBatchRow(number=outcome.number, reason=outcome.reason)
        for outcome in in_order
        if outcome.item is None
    )
    return BatchResult(items=str(listed), spoken=len(items) - kept, kept=kept, failed=failed)


def synthesize_row(row: BatchRow | InvalidBatchRow, job: BatchJob) -> RowOutcome:
    """Synthesize one row, unless its clip is there.

    Raises UnrecoverableError for what every other row would meet as well.
    """
    try:
        if isinstance(row, InvalidBatchRow):
            raise AppError(row.reason)
        item, was_there = _synthesize_valid_row(row, job)
    except UnrecoverableError:
        raise
    except AppError as refusal:
        return RowOutcome(number=row.number, reason=str(refusal))
    return RowOutcome(number=row.number, item=item, was_there=was_there)


def _synthesize_valid_row(row: BatchRow, job: BatchJob) -> tuple[BatchItem, bool]:
    request = _build_row_request(row, job)
    plan = plan_lines(request, job.layout)
    path = Path(str(request.out))
    was_there = path.is_file() and _is_up_to_date(path, request, row, job)
    if not was_there:
        job.synthesizer.speak(request, job.report)
    spoken_text = " ".join(planned.line.spoken_text for planned in plan)
    voices = {str(planned.line.override.get(VOICE, request.voice)) for planned in plan}
    voice = voices.pop() if len(voices) == 1 else request.voice
    return BatchItem(wav=path.name, text=spoken_text, voice=voice), was_there


def _build_row_request(row: BatchRow, job: BatchJob) -> SpeechRequest:
    base, seed = job.request_input, {} if row.seed is None else {"seed": row.seed}
    suffix = base.delivery.get("format", job.settings.format)
    return build_request(
        job.settings,
        replace(
            base,
            text=row.text,
            voice=row.voice or base.voice,
            preset=row.preset or base.preset,
            options={**base.options, **seed},
            out=str(job.folder / f"{row.name}.{suffix}"),
        ),
        job.layout,
    )


def _is_up_to_date(path: Path, request: SpeechRequest, row: BatchRow, job: BatchJob) -> bool:
    """Return whether an existing clip matches this row; an unset seed matches any."""
    try:
        record = read_metadata(path)
    except AppError:
        return False
    chosen = row.seed is not None or job.request_input.options.get("seed") is not None
    expected = {
        "text": request.text,
        "voice": resolve_random_seed(request.voice, request.seed if chosen else record.seed),
        "engine": request.engine,
        "bundle": request.bundle,
        "options": _get_comparable_options(request.options, request, chosen),
        "delivery": to_dict(request.delivery),
    }
    had = {name: getattr(record, name) for name in expected}
    had["options"] = _get_comparable_options(record.options, request, chosen)
    return expected == had and record.weights_id == job.synthesizer.weights_id(request, job.report)


def _get_comparable_options(
    options: Mapping[str, Any], request: SpeechRequest, seed_matters: bool
) -> Mapping[str, Any]:
    """The options that decide how a clip sounds, without those that the request leaves open."""
    left_open = {
        name for name, value in AUTOMATIC_VALUES.items() if request.options.get(name) == value
    }
    left_open |= set() if seed_matters else {"seed"}
    return {
        name: value
        for name, value in options.items()
        if name not in left_open and (name, value) not in UNRECORDED_VALUES
    }


def _create_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise AppError(
            f"Cannot make the folder {folder}: {cause.strerror or cause}. Choose another one.",
            cli_hint="Its flag is --out-dir.",
        ) from cause
    return folder

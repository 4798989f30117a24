"""Synthesize a CSV table row by row; finished rows are kept, invalid rows are skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from core.errors import AppError, UnrecoverableError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from core.serialization import to_dict
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.batch_csv import BatchItem, BatchRow, InvalidBatchRow, write_items_csv
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
)
from studio.voices.catalog import resolve_random_seed
from text.script import VOICE


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
    items: list[BatchItem] = []
    failed: list[InvalidBatchRow] = []
    kept = 0
    listed = write_items_csv(_create_folder(job.folder), items)
    for row in rows:
        job.report.check_cancelled()
        try:
            item, was_there = _synthesize_row(row, job)
        except UnrecoverableError:
            raise
        except AppError as refusal:
            failed.append(InvalidBatchRow(number=row.number, reason=str(refusal)))
            job.report.warn(f"Row {row.number} was left out: {refusal}", stage="table")
            continue
        items.append(item)
        kept += was_there
        write_items_csv(job.folder, items)
        done = len(items) + len(failed)
        job.report.emit(ProgressEvent(kind="progress", stage="table", done=done, total=len(rows)))
    return BatchResult(items=str(listed), spoken=len(items) - kept, kept=kept, failed=tuple(failed))


def _synthesize_row(row: BatchRow | InvalidBatchRow, job: BatchJob) -> tuple[BatchItem, bool]:
    if isinstance(row, InvalidBatchRow):
        raise AppError(row.reason)
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
        "options": _get_comparable_options(request.options, chosen),
        "delivery": to_dict(request.delivery),
    }
    had = {name: getattr(record, name) for name in expected}
    had["options"] = _get_comparable_options(record.options, chosen)
    return expected == had and record.weights_id == job.synthesizer.weights_id(request, job.report)


def _get_comparable_options(options: Mapping[str, Any], seed_matters: bool) -> Mapping[str, Any]:
    return {name: value for name, value in options.items() if name != "seed" or seed_matters}


def _create_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise AppError(
            f"Cannot make the folder {folder}: {cause.strerror or cause}. Choose another one.",
            cli_hint="Its flag is --out-dir.",
        ) from cause
    return folder

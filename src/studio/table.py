"""A whole table spoken, row by row: what is there already is kept, a bad row stops nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from jobs.report import Event, Reporter
from speech.script import VOICE
from studio.errors import StudioError, Unusable
from studio.layout import Layout
from studio.lines import BadRow, Item, Row, write_items
from studio.plan import plan_lines
from studio.requests import Wish, plain_delivery, request_of
from studio.settings import Settings
from studio.speaking import SpeakRequest, Spoken
from studio.tags import read_record
from studio.voices import pin_random


class Speaks(Protocol):
    """Whoever speaks the rows, with models loaded once."""

    def speak(self, request: SpeakRequest, report: Reporter) -> Spoken:
        """Speak one request and write its clips."""
        ...

    def weights_id(self, request: SpeakRequest, report: Reporter) -> str:
        """Name the weights that would speak the request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What came of a table: the list of its clips, and the rows that failed."""

    items: str
    spoken: int
    kept: int
    failed: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableJob:
    """What all rows share."""

    folder: Path
    wish: Wish
    layout: Layout
    settings: Settings
    speaker: Speaks
    report: Reporter


def speak_rows(rows: Sequence[Row | BadRow], job: TableJob) -> Table:
    """Speak the rows into the folder and list them in items.csv, which grows with every row.

    Raises Unusable for what would stop every row, such as missing weights.
    """
    items: list[Item] = []
    failed: list[BadRow] = []
    kept = 0
    listed = write_items(_made(job.folder), items)
    for row in rows:
        job.report.check()
        try:
            item, was_there = _speak_row(row, job)
        except Unusable:
            raise
        except StudioError as refusal:
            failed.append(BadRow(number=row.number, reason=str(refusal)))
            job.report.warn(f"Row {row.number} was left out: {refusal}", stage="table")
            continue
        items.append(item)
        kept += was_there
        write_items(job.folder, items)
        done = len(items) + len(failed)
        job.report.emit(Event(kind="progress", stage="table", done=done, total=len(rows)))
    return Table(items=str(listed), spoken=len(items) - kept, kept=kept, failed=tuple(failed))


def _speak_row(row: Row | BadRow, job: TableJob) -> tuple[Item, bool]:
    if isinstance(row, BadRow):
        raise StudioError(row.reason)
    request = _request(row, job)
    plan = plan_lines(request, job.layout)
    path = Path(str(request.out))
    was_there = path.is_file() and _says_the_same(path, request, row, job)
    if not was_there:
        job.speaker.speak(request, job.report)
    heard = " ".join(planned.line.spoken for planned in plan)
    voices = {str(planned.line.override.get(VOICE, request.voice)) for planned in plan}
    voice = voices.pop() if len(voices) == 1 else request.voice
    return Item(wav=path.name, text=heard, voice=voice), was_there


def _request(row: Row, job: TableJob) -> SpeakRequest:
    wish, seed = job.wish, {} if row.seed is None else {"seed": row.seed}
    suffix = wish.delivery.get("format", job.settings.format)
    return request_of(
        job.settings,
        replace(
            wish,
            text=row.text,
            voice=row.voice or wish.voice,
            preset=row.preset or wish.preset,
            options={**wish.options, **seed},
            out=str(job.folder / f"{row.name}.{suffix}"),
        ),
        job.layout,
    )


def _says_the_same(path: Path, request: SpeakRequest, row: Row, job: TableJob) -> bool:
    """Whether a clip from before is what this row asks for; a seed nobody chose may be any."""
    try:
        record = read_record(path)
    except StudioError:
        return False
    chosen = row.seed is not None or job.wish.options.get("seed") is not None
    asked = {
        "text": request.text,
        "voice": pin_random(request.voice, request.seed if chosen else record.seed),
        "engine": request.engine,
        "bundle": request.bundle,
        "options": _comparable(request.options, chosen),
        "delivery": plain_delivery(request.delivery),
    }
    had = {name: getattr(record, name) for name in asked}
    had["options"] = _comparable(record.options, chosen)
    return asked == had and record.weights_id == job.speaker.weights_id(request, job.report)


def _comparable(options: Mapping[str, Any], seed_matters: bool) -> Mapping[str, Any]:
    return {name: value for name, value in options.items() if name != "seed" or seed_matters}


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise StudioError(
            f"Cannot make the folder {folder}: {cause.strerror or cause}. Choose another --out-dir."
        ) from cause
    return folder

"""Read and check tables of lines to synthesize, and write the list of results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import quote_for_message, validate_name
from core.serialization import suggest_similar

COLUMNS = ("text", "voice", "seed", "preset", "name")
MAX_TABLE_BYTES = 50_000_000  # bytes
MAX_SEED = 2**63 - 1
ITEMS_FILE = "items.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One row of the table: the text, and what differs from the command line.

    number counts the rows below the header from 1;  name is the file's, without suffix.
    """

    number: int
    text: str
    name: str
    voice: str | None = None
    seed: int | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidBatchRow:
    """A row that cannot be spoken, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One synthesized row, as in items.csv."""

    wav: str
    text: str
    voice: str


def read_batch_table(path: Path) -> list[BatchRow | InvalidBatchRow]:
    """Read a CSV (or, ending in .tsv, a table with tabs) with a header.

    Raises AppError for an invalid table; an invalid row is a BadRow.
    """
    cells = csv.reader(io.StringIO(_read_text(path)), dialect=_choose_dialect(path), strict=True)
    try:
        records = [(line, row) for line, row in enumerate(cells) if any(map(str.strip, row))]
    except csv.Error as cause:
        raise AppError(f"{path} is not a table: {cause} in line {cells.line_num}.") from cause
    if not records:
        raise AppError(f"{path} is empty. Its first line names the columns: text,voice,name.")
    header = _parse_header(path, records[0][1])
    if len(records) == 1:
        raise AppError(f"{path} has no rows below its header. Add a line of text to speak.")
    width = max(3, len(str(len(records) - 1)))
    rows: list[BatchRow | InvalidBatchRow] = []
    taken: set[str] = set()
    for number, (_, record) in enumerate(records[1:], start=1):
        row = _parse_row(number, header, record, f"{number:0{width}d}", taken)
        if isinstance(row, BatchRow):
            taken.add(row.name.casefold())
        rows.append(row)
    return rows


def write_items_csv(folder: Path, items: Iterable[BatchItem]) -> Path:
    """Write items.csv (wav,text,voice) for the clips in `folder`."""
    path = folder / ITEMS_FILE
    part = folder / f".{ITEMS_FILE}.part"
    with translate_write_errors(path):
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["wav", "text", "voice"])
            writer.writerows([item.wav, item.text, item.voice] for item in items)
        part.replace(path)
    return path


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise AppError(f"{path} is larger than {MAX_TABLE_BYTES:,} bytes; split it.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AppError(f"There is no table {path}. Give a CSV file with a text column.") from None
    except UnicodeDecodeError as cause:
        raise AppError(
            f"{path} is not UTF-8 text (byte {cause.start}). Save the table as CSV in UTF-8."
        ) from cause
    except OSError as cause:
        raise AppError(f"Cannot read {path}: {cause.strerror or cause}.") from cause


def _choose_dialect(path: Path) -> type[csv.Dialect]:
    return csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel


def _parse_header(path: Path, names: Sequence[str]) -> list[str]:
    header = [name.strip().lower() for name in names]
    for name in header:
        if name not in COLUMNS:
            hint = suggest_similar(name, COLUMNS) or f" Known are: {', '.join(COLUMNS)}."
            raise AppError(
                f"{path} has a column {quote_for_message(name)} that is not supported.{hint}",
                code="bad_request",
            )
    if "text" not in header:
        raise AppError(f"{path} has no column text. Its first line names the columns.")
    if len(set(header)) < len(header):
        raise AppError(f"{path} names a column twice: {', '.join(header)}.")
    return header


def _parse_row(
    number: int, header: list[str], record: list[str], usual_name: str, taken: set[str]
) -> BatchRow | InvalidBatchRow:
    if len(record) > len(header):
        return InvalidBatchRow(
            number=number,
            reason=f"it has {len(record)} cells under {len(header)} columns; "
            'put text with commas into "quotes".',
        )
    cells = {name: cell.strip() for name, cell in zip(header, record, strict=False)}
    try:
        name = validate_name(cells.get("name") or usual_name, "clip")
        if name.casefold() in taken:
            raise AppError(
                f"another row is already named {quote_for_message(name)}; choose another name."
            )
        return BatchRow(
            number=number,
            text=cells.get("text", ""),
            name=name,
            voice=cells.get("voice") or None,
            seed=_parse_seed(cells.get("seed", "")),
            preset=cells.get("preset") or None,
        )
    except AppError as refusal:
        return InvalidBatchRow(number=number, reason=str(refusal))


def _parse_seed(cell: str) -> int | None:
    if not cell:
        return None
    if not cell.isdecimal() or int(cell) > MAX_SEED:
        raise AppError(
            f"its seed is {quote_for_message(cell)}; write a whole number from 0 to {MAX_SEED}."
        )
    return int(cell)

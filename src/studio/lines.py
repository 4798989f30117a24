"""Tables of lines to speak: read, checked row by row, and listed as items when spoken."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.plain import nearest
from studio.errors import StudioError, writing_to
from studio.layout import plain_name, shown

COLUMNS = ("text", "voice", "seed", "preset", "name")
LARGEST_TABLE = 50_000_000  # bytes
HIGHEST_SEED = 2**63 - 1
ITEMS = "items.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table: what to say, and where it differs from the command line.

    number counts the rows below the header from 1;  name is the file's, without suffix.
    """

    number: int
    text: str
    name: str
    voice: str | None = None
    seed: int | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be spoken, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One spoken row, as the judge reads it."""

    wav: str
    text: str
    voice: str


def read_table(path: Path) -> list[Row | BadRow]:
    """Read a CSV (or, ending in .tsv, a table with tabs) with a header.

    Raises StudioError when it is not such a table; a row that is wrong by itself is a BadRow.
    """
    cells = csv.reader(io.StringIO(_text_of(path)), dialect=_dialect(path), strict=True)
    try:
        records = [(line, row) for line, row in enumerate(cells) if any(map(str.strip, row))]
    except csv.Error as cause:
        raise StudioError(f"{path} is not a table: {cause} in line {cells.line_num}.") from cause
    if not records:
        raise StudioError(f"{path} is empty. Its first line names the columns: text,voice,name.")
    header = _header(path, records[0][1])
    if len(records) == 1:
        raise StudioError(f"{path} has no rows below its header. Add a line of text to speak.")
    width = max(3, len(str(len(records) - 1)))
    rows: list[Row | BadRow] = []
    taken: set[str] = set()
    for number, (_, record) in enumerate(records[1:], start=1):
        row = _checked_row(number, header, record, f"{number:0{width}d}", taken)
        if isinstance(row, Row):
            taken.add(row.name.casefold())
        rows.append(row)
    return rows


def write_items(folder: Path, items: Iterable[Item]) -> Path:
    """Write items.csv (wav,text,voice) for the clips in `folder`."""
    path = folder / ITEMS
    part = folder / f".{ITEMS}.part"
    with writing_to(path):
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["wav", "text", "voice"])
            writer.writerows([item.wav, item.text, item.voice] for item in items)
        part.replace(path)
    return path


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise StudioError(f"{path} is larger than {LARGEST_TABLE:,} bytes; split it.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise StudioError(
            f"There is no table {path}. Give a CSV file with a text column."
        ) from None
    except UnicodeDecodeError as cause:
        raise StudioError(
            f"{path} is not UTF-8 text (byte {cause.start}). Save the table as CSV in UTF-8."
        ) from cause
    except OSError as cause:
        raise StudioError(f"Cannot read {path}: {cause.strerror or cause}.") from cause


def _dialect(path: Path) -> type[csv.Dialect]:
    return csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel


def _header(path: Path, names: Sequence[str]) -> list[str]:
    header = [name.strip().lower() for name in names]
    for name in header:
        if name not in COLUMNS:
            hint = nearest(name, COLUMNS) or f" Known are: {', '.join(COLUMNS)}."
            raise StudioError(f"{path} has a column {shown(name)} that means nothing here.{hint}")
    if "text" not in header:
        raise StudioError(f"{path} has no column text. Its first line names the columns.")
    if len(set(header)) < len(header):
        raise StudioError(f"{path} names a column twice: {', '.join(header)}.")
    return header


def _checked_row(
    number: int, header: list[str], record: list[str], usual_name: str, taken: set[str]
) -> Row | BadRow:
    if len(record) > len(header):
        return BadRow(
            number=number,
            reason=f"it has {len(record)} cells under {len(header)} columns; "
            'put text with commas into "quotes".',
        )
    cells = {name: cell.strip() for name, cell in zip(header, record, strict=False)}
    try:
        name = plain_name(cells.get("name") or usual_name, "clip")
        if name.casefold() in taken:
            raise StudioError(f"another row is already named {shown(name)}; choose another name.")
        return Row(
            number=number,
            text=cells.get("text", ""),
            name=name,
            voice=cells.get("voice") or None,
            seed=_seed(cells.get("seed", "")),
            preset=cells.get("preset") or None,
        )
    except StudioError as refusal:
        return BadRow(number=number, reason=str(refusal))


def _seed(cell: str) -> int | None:
    if not cell:
        return None
    if not cell.isdecimal() or int(cell) > HIGHEST_SEED:
        raise StudioError(
            f"its seed is {shown(cell)}; write a whole number from 0 to {HIGHEST_SEED}."
        )
    return int(cell)

"""Read tables: CSV with any separator, tab-separated text, lists with "|", Excel workbooks."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from core.tables.office_packages import DAMAGED_PACKAGE_ERRORS, check_package
from core.tables.text_files import TextFileError, decode_text, read_bytes

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
"""Suffixes of files that are read as tables."""
SEPARATORS = ("|", "\t", ";", ",")
MAX_ROWS, MAX_COLUMNS = 1_000_000, 200
MAX_WORKBOOK_BYTES = 500_000_000  # unpacked
WORKBOOK = "workbook"
_ONE_COLUMN = "\x1f"  # a separator that no text contains
_CUT_OFF = "unexpected end of data"  # of the csv module, for a quote that is not closed
_ZIP_MAGIC, _OLE_MAGIC = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[;,\t]*', re.IGNORECASE)
_INVISIBLE = re.compile("[\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069]")


class TableError(TextFileError):
    """A file that is not a table; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row.  number: of its first line in the file, from 1."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a file that are not blank, the header among them.

    separator: between the cells, WORKBOOK for those of a workbook, "" for one column. width: the
    most common number of cells in a row.
    """

    rows: tuple[TableRow, ...]
    separator: str
    width: int


def read_tables(path: Path) -> list[Table]:
    """Read a file in every way in which it is a table of two or more columns, and as one column.

    A workbook, a "sep=" line and the suffix .tsv leave one way. Columns that are empty in every
    row are left out. Raises TableError, also for a file that is not a text.
    """
    data = read_bytes(path)
    if data.startswith(_OLE_MAGIC):
        raise TableError(f"{path.name} is a workbook of old Excel. Save it as .xlsx or CSV.")
    if data.startswith(_ZIP_MAGIC):
        return [_make_table(_read_workbook(path.name, data), WORKBOOK)]
    lines = decode_text(path.name, data)
    first, _, rest = lines.partition("\n")
    named = _SEPARATOR_LINE.fullmatch(_INVISIBLE.sub("", first).strip(" "))
    if named:
        return [_read_separated(path.name, rest, named[1], first_line=2)]
    candidates: Sequence[str] = SEPARATORS
    if path.suffix.lower() in (".tsv", ".tab") and "\t" in first:
        candidates = ("\t",)
    return _read_candidates(path.name, lines, candidates)


def _read_candidates(name: str, text: str, separators: Sequence[str]) -> list[Table]:
    found, problems = [], []
    for separator in separators:
        if separator not in text:
            continue
        try:
            table = _read_separated(name, text, separator)
        except TableError as problem:
            problems.append(problem)
            continue
        if any(len(row.cells) > 1 for row in table.rows):
            found.append(table)
    if problems and not found:
        raise problems[-1]
    return [*found, _read_separated(name, text, _ONE_COLUMN)] if not problems else found


def _read_separated(name: str, text: str, separator: str, first_line: int = 1) -> Table:
    """Split a text; quotes are those of CSV, or for "|" and tabs letters like any other."""
    lines = enumerate(text.split("\n"), start=first_line)
    literal = [(number, line.split(separator)) for number, line in lines if line.strip()]
    try:
        rows = _parse_csv(text, separator, first_line)
        rows = rows if _uses_csv_quotes(rows, text, separator) else literal
    except csv.Error as problem:
        is_cut_off = str(problem).startswith(_CUT_OFF)
        if is_cut_off and separator not in ("|", "\t"):
            raise TableError(f"{name} is not a table: {problem}.") from problem
        rows = literal
        if separator not in ("|", "\t", _ONE_COLUMN) and not _is_even(literal):
            rows = _parse_csv(text, separator, first_line, strict=False)
            if not _is_even(rows):
                raise TableError(f"{name} is not a table: {problem}.") from problem
    return _make_table(rows, "" if separator == _ONE_COLUMN else separator)


def _is_even(rows: Iterable[tuple[int, Sequence[str]]]) -> bool:
    """Return whether all rows that are not blank have as many cells."""
    return len({len(row) for _, row in rows if any(map(str.strip, row))}) == 1


def _parse_csv(
    text: str, separator: str, first_line: int, *, strict: bool = True
) -> list[tuple[int, list[str]]]:
    source = io.StringIO(text, newline="")
    cells = csv.reader(source, delimiter=separator, strict=strict, skipinitialspace=True)
    rows, number = [], first_line
    try:
        for row in cells:
            rows.append((number, row))
            number = first_line + cells.line_num
    except csv.Error as problem:
        raise csv.Error(f"{problem} in line {first_line - 1 + cells.line_num}") from problem
    return rows


def _uses_csv_quotes(rows: Iterable[tuple[int, list[str]]], text: str, separator: str) -> bool:
    """Return whether quotes enclose cells.

    Lists with bars and tabs often have quotes as letters: there no quote may have swallowed another
    row, and with bars some cell needs its quotes.
    """
    if separator not in ("|", "\t"):
        return True
    cells = [cell for _, row in rows for cell in row]
    if any("\n" in cell and separator in cell for cell in cells):
        return False
    needed = '""' in text or any("\n" in cell or separator in cell for cell in cells)
    return needed or separator == "\t"


def _make_table(rows: Iterable[tuple[int, Sequence[str]]], separator: str) -> Table:
    """Strip the cells, and leave out blank rows and empty columns."""
    kept = [
        (number, [_INVISIBLE.sub("", cell).strip() for cell in row])
        for number, row in rows
        if any(map(str.strip, row))
    ]
    width = max((len(row) for _, row in kept), default=0)
    used = [at for at in range(width) if any(at < len(row) and row[at] for _, row in kept)]
    used = used if len(used) > 1 else list(range(width))
    found = tuple(
        TableRow(number=number, cells=tuple(row[at] for at in used if at < len(row)))
        for number, row in kept
    )
    counts = Counter(len(row.cells) for row in found).most_common(1)
    return Table(rows=found, separator=separator, width=counts[0][0] if counts else 0)


def _read_workbook(name: str, data: bytes) -> list[tuple[int, list[str]]]:
    """Read the first sheet of a workbook that is not empty."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        check_package(data, MAX_WORKBOOK_BYTES)
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            rows = [
                (number, [_format_cell(cell) for cell in row])
                for number, row in enumerate(
                    sheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True), 1
                )
            ]
            if any(any(row) for _, row in rows):
                return rows
    except (*DAMAGED_PACKAGE_ERRORS, InvalidFileException) as problem:
        message = f"{name} is not a workbook that can be read: {problem}. Save its table as CSV."
        raise TableError(message) from problem
    return []


def _format_cell(value: Any) -> str:  # Any: a cell has a value of its own type
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value).replace("\r\n", "\n").replace("_x000D_", "")

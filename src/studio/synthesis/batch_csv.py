"""Read and check tables of lines to synthesize, and write the list of results."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from audio.formats import READABLE_SUFFIXES
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import atomic_path
from core.paths import fold_name, quote_for_message, validate_name
from core.serialization import suggest_similar
from core.tables.columns import (
    AUDIO,
    SPEAKER,
    TEXT,
    ColumnChoice,
    TablePreview,
    guess_role,
    make_preview,
    normalize_column_name,
    parse_column_choice,
    resolve_columns,
)
from core.tables.reader import SEPARATORS, Table, TableError, read_tables
from core.tables.text_files import TextFileError

NAME = "name"
COLUMNS = ("text", "voice", "seed", "preset", "name")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTable:
    """The rows of a table.

    preview: its first rows and the columns that are used;  notes: what to check, () for a table
    with our column names.
    """

    rows: tuple[BatchRow | InvalidBatchRow, ...]
    preview: TablePreview
    notes: tuple[str, ...] = ()


def read_batch_table(path: Path, columns: str = "") -> list[BatchRow | InvalidBatchRow]:
    """Return the rows of `read_batch_file`."""
    return list(read_batch_file(path, columns).rows)


def read_batch_file(path: Path, columns: str = "") -> BatchTable:
    """Read a table with a header: CSV with any separator, tab-separated text, or .xlsx.

    columns: which column holds what, as in "text=2,voice=Speaker"; "" to go by the header. Raises
    AppError for an invalid table; an invalid row is an InvalidBatchRow.
    """
    with reraise_as_app_error(TextFileError):
        table, choice = _read_best_table(path, parse_column_choice(columns, COLUMNS))
    preview = make_preview(path.name, table, choice)
    if choice.question:
        shown = "\n".join([choice.question, *preview.format_lines()])
        raise AppError(shown, code="bad_request")
    records = [row.cells for row in (table.rows[1:] if choice.header else table.rows)]
    if not records:
        raise AppError(f"{path} has no rows below its header. Add a line of text to speak.")
    header = [""] * max(table.width, len(choice.header))
    for role, at in choice.roles.items():
        header[at] = role
    return BatchTable(
        rows=_parse_rows(header, records),
        preview=preview,
        notes=_describe_choice(path, choice, preview),
    )


def _read_best_table(path: Path, chosen: Mapping[str, str]) -> tuple[Table, ColumnChoice]:
    found, problems = [], []
    for table in _read_tables(path):
        try:
            found.append((table, _choose_columns(path, table, chosen)))
        except TableError as problem:
            problems.append(problem)
    if not found:
        raise problems[0]
    return max(found, key=lambda one: _rate(*one))


def _read_tables(path: Path) -> list[Table]:
    if not path.is_file():
        raise AppError(f"There is no table {path}. Give a CSV or .xlsx file with a text column.")
    tables = [table for table in read_tables(path) if table.rows]
    if not tables:
        raise AppError(f"{path} is empty. Its first line names the columns: text,voice,name.")
    return tables


def _rate(table: Table, choice: ColumnChoice) -> tuple[bool, int, float]:
    """Rate a way to read a table: by what is clear, by columns known, by rows of one width."""
    width = len(choice.header) or table.width
    even = sum(len(row.cells) == width for row in table.rows)
    return not choice.question, len(choice.roles), even / len(table.rows)


def _choose_columns(path: Path, table: Table, chosen: Mapping[str, str]) -> ColumnChoice:
    """Choose the columns by their names, or as the user says."""
    names = table.rows[0].cells
    roles: dict[str, int] = {}
    question = ""
    exact = [normalize_column_name(name) for name in names]
    for role in COLUMNS:
        rivals = [at for at, name in enumerate(exact) if name == role]
        if len(rivals) > 1:
            question = f"{path} names a column twice: {', '.join(names)}."
        rivals = rivals or [at for at, name in enumerate(names) if _guess_column(name) == role]
        if rivals:
            roles[role] = rivals[0]
        if len(rivals) > 1 and role == TEXT and not question:
            listed = " or ".join(repr(names[at]) for at in rivals)
            question = f"{path} has several columns of text: {listed}. Set columns, as in text=2."
    if chosen:
        named = resolve_columns(table, path.name, chosen)
        by_name = not all(column.isdecimal() for column in chosen.values())
        kept = {role: at for role, at in roles.items() if at not in named.values()}
        header = names if roles or by_name else ()
        roles, question = {**kept, **named}, ""
        return ColumnChoice(roles=roles, header=header, question=_ask_for_text(path, names, roles))
    if not question:
        question = _ask_for_text(path, names, roles) or _ask_for_similar(path, names, roles)
    return ColumnChoice(roles=roles, header=names if roles else (), question=question)


def _guess_column(name: str) -> str:
    """Return the column that a name of other programs stands for, "" for none."""
    if any(mark in name for mark in SEPARATORS):
        return ""  # a row that was not split
    words = normalize_column_name(name).split("_")
    if words[-1] in ("name", "title", "output", "out") and guess_role(name) != SPEAKER:
        return NAME
    return {TEXT: "text", SPEAKER: "voice", AUDIO: NAME}.get(guess_role(name), "")


def _ask_for_text(path: Path, names: Sequence[str], roles: Mapping[str, int]) -> str:
    if "text" in roles:
        return ""
    listed = " | ".join(names)
    return (
        f"{path} has no column text. Its first line names the columns, and is: {listed[:200]}. "
        "Set columns, as in text=1,voice=2."
    )


def _ask_for_similar(path: Path, names: Sequence[str], roles: Mapping[str, int]) -> str:
    """Return a question about a column that may be a misspelled one."""
    for at, name in enumerate(names):
        free = [column for column in COLUMNS if column not in roles]
        hint = "" if at in roles.values() else suggest_similar(normalize_column_name(name), free)
        if name and hint:
            return f"{path} has a column {quote_for_message(name)} that is not supported.{hint}"
    return ""


def _describe_choice(path: Path, choice: ColumnChoice, preview: TablePreview) -> tuple[str, ...]:
    """Return the preview of a table whose names are not ours, and the columns left out."""
    used = {at: role for role, at in choice.roles.items()}
    names = [normalize_column_name(name) for name in choice.header]
    if names and all(name in ("", used.get(at)) for at, name in enumerate(names)):
        return ()
    unused = [name for at, name in enumerate(choice.header) if name and at not in used]
    listed = ", ".join(map(quote_for_message, unused))
    left_out = [f"{path.name}: not used: {listed}. Columns are: {', '.join(COLUMNS)}."]
    return (*preview.format_lines(), *(left_out if unused else ()))


def _parse_rows(
    header: list[str], records: Sequence[Sequence[str]]
) -> tuple[BatchRow | InvalidBatchRow, ...]:
    width = max(3, len(str(len(records))))
    rows: list[BatchRow | InvalidBatchRow] = []
    taken: set[str] = set()
    for number, record in enumerate(records, start=1):
        row = _parse_row(number, header, record, f"{number:0{width}d}", taken)
        if isinstance(row, BatchRow):
            taken.add(fold_name(row.name))
        rows.append(row)
    return tuple(rows)


def append_item(folder: Path, item: BatchItem) -> None:
    """Add one clip to items.csv."""
    path = folder / ITEMS_FILE
    with translate_write_errors(path), path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow([item.wav, item.text, item.voice])


def read_items(path: Path) -> list[BatchItem]:
    """Read the items.csv that `write_items_csv` wrote."""
    with translate_write_errors(path), path.open(encoding="utf-8", newline="") as file:
        return [BatchItem(**row) for row in csv.DictReader(file)]


def write_items_csv(folder: Path, items: Iterable[BatchItem]) -> Path:
    """Write items.csv (wav,text,voice) for the clips in `folder`."""
    path = folder / ITEMS_FILE
    with (
        translate_write_errors(path),
        atomic_path(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["wav", "text", "voice"])
        writer.writerows([item.wav, item.text, item.voice] for item in items)
    return path


def _parse_row(
    number: int, header: list[str], record: Sequence[str], usual_name: str, taken: set[str]
) -> BatchRow | InvalidBatchRow:
    if any(record[len(header) :]):
        return InvalidBatchRow(
            number=number,
            reason=f"it has {len(record)} cells under {len(header)} columns; "
            'put text with commas into "quotes".',
        )
    cells = {name: cell for name, cell in zip(header, record, strict=False) if name}
    try:
        if not cells.get("text"):
            raise AppError("its text is empty; write a text or remove the row.")
        name = validate_name(_strip_audio_path(cells.get(NAME, "")) or usual_name, "clip")
        if fold_name(name) in taken:
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


def _strip_audio_path(cell: str) -> str:
    """Return the name in the path of a clip: out/part1.wav -> part1."""
    path = PurePosixPath(cell.replace("\\", "/"))
    return path.stem if path.suffix.lower() in READABLE_SUFFIXES else cell


def _parse_seed(cell: str) -> int | None:
    cell = re.sub(r"\.0+$", "", cell)  # as pandas writes whole numbers beside empty cells
    if not cell:
        return None
    if not cell.isdecimal() or int(cell) > MAX_SEED:
        raise AppError(
            f"its seed is {quote_for_message(cell)}; write a whole number from 0 to {MAX_SEED}."
        )
    return int(cell)

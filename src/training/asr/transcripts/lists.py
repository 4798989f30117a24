"""Lists of transcripts: metadata.csv and its relatives, with the columns in any order."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath

from audio.formats import READABLE_SUFFIXES
from core.tables.columns import (
    AUDIO,
    NORMALIZED,
    SPEAKER,
    TEXT,
    ColumnChoice,
    TablePreview,
    make_preview,
    resolve_columns,
)
from core.tables.reader import TABLE_SUFFIXES, Table, TableError, TableRow, read_tables
from training.asr.base import TranscribeError, clean_text
from training.asr.transcripts.list_columns import NamesRecording, choose_columns

LIST_FILE_NAMES = tuple(
    f"{stem}{suffix}"
    for stem, suffix in product(
        ("metadata", "transcripts", "train", "validation", "val"), TABLE_SUFFIXES
    )
)
"""Names of transcript list files."""
LIST_ROLES = (AUDIO, TEXT, NORMALIZED, SPEAKER)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptLine:
    """The text of one recording.  id: its path in the list, without the suffix."""

    id: str
    text: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptList:
    """A list: its lines, and a preview that shows which columns are used.

    lines: () where a question is open, or where no recording is named. speakers: their names in
    the list.
    """

    lines: tuple[TranscriptLine, ...]
    preview: TablePreview
    speakers: tuple[str, ...] = ()


def read_transcript_list(
    path: Path, files: Sequence[Path], chosen: Mapping[str, str]
) -> TranscriptList:
    """Read a list that names recordings and their texts.

    files: the recordings that it may be about. chosen: columns by role, numbers from 1 or names, as
    the user gave them. A normalized text is used if there is one, a column of speakers never.
    Raises TranscribeError naming the malformed line.
    """
    stems = {normalize_id(file.name) for file in files}
    names_recording = partial(_names_recording, stems)
    table, choice = _read_best_table(path, chosen, names_recording)
    body = table.rows[1:] if choice.header else table.rows
    if not _rate(table, choice, names_recording)[0]:
        choice = replace(choice, question="")  # a list of other recordings
    preview = make_preview(path.name, table, choice)
    if table.width > 1 and (choice.question or TEXT not in choice.roles):
        return TranscriptList(lines=(), preview=preview)
    for row in body:
        _check_row(path, row, table, choice)
    lines = [_make_line(row, choice.roles) for row in body]
    _check_conflicting_texts(path, lines)
    at = choice.roles.get(SPEAKER, table.width)
    speakers = dict.fromkeys(row.cells[at] for row in body if at < len(row.cells))
    return TranscriptList(
        lines=tuple(lines), preview=preview, speakers=tuple(filter(None, speakers))
    )


def match_lines_to_files(
    lines: Sequence[TranscriptLine], files: Sequence[Path], place: Path
) -> dict[Path, TranscriptLine]:
    """Return the line of each file, for those that have one.

    place: the folder of the list. Raises TranscribeError where a line could mean two files.
    """
    by_id = {line.id: line for line in lines}
    by_stem: dict[str, list[TranscriptLine]] = {}
    for line in lines:
        by_stem.setdefault(PurePosixPath(line.id).name, []).append(line)
    matched: dict[Path, TranscriptLine] = {}
    takers: dict[str, Path] = {}
    for file in files:
        meant = _find_line(_list_path_tails(file, place), by_id, by_stem)
        if meant is None:
            continue
        other = takers.setdefault(meant.id, file)
        if other != file:
            raise TranscribeError(
                f"Line {meant.number} names {meant.id!r}, which could be "
                f"{format_relative_path(other, place)} or "
                f"{format_relative_path(file, place)}. Write the folder into the line, or "
                "rename one."
            )
        matched[file] = meant
    return matched


def format_relative_path(file: Path, place: Path) -> str:
    """Return the path of a file for messages."""
    return file.relative_to(place).as_posix() if file.is_relative_to(place) else file.name


def normalize_id(name: str) -> str:
    """Return a path or id as lists are compared: composed letters, "/", no suffix of audio."""
    path = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/").casefold())
    path = path.with_suffix("") if path.suffix in READABLE_SUFFIXES else path
    return path.as_posix().removeprefix("./")


def _names_recording(stems: Collection[str], cell: str) -> bool:
    return bool(cell) and PurePosixPath(normalize_id(cell)).name in stems


def _read_best_table(
    path: Path, chosen: Mapping[str, str], names_recording: NamesRecording
) -> tuple[Table, ColumnChoice]:
    """Read a list in the way in which it names most recordings."""
    read, problems = [], []
    for table in read_tables(path):
        try:
            read.append((table, _choose(table, path, chosen, names_recording)))
        except TableError as problem:
            problems.append(problem)
    if not read:
        raise problems[0]
    return max(read, key=lambda one: _rate(one[0], one[1], names_recording))


def _choose(
    table: Table, path: Path, chosen: Mapping[str, str], names_recording: NamesRecording
) -> ColumnChoice:
    choice = choose_columns(table, names_recording)
    if not chosen:
        return choice
    roles = resolve_columns(table, path.name, chosen)
    header = choice.header
    if not header and any(not column.isdecimal() for column in chosen.values()):
        header = table.rows[0].cells
    if TEXT not in roles and choice.question:
        return replace(choice, header=header)
    kept = {role: at for role, at in choice.roles.items() if role != NORMALIZED}
    return ColumnChoice(roles={**kept, **roles}, header=header)


def _rate(
    table: Table, choice: ColumnChoice, names_recording: NamesRecording
) -> tuple[float, bool, float]:
    """Rate a way to read a list: by recordings named, by what is sure, by rows of one width."""
    at = choice.roles.get(AUDIO, 0)
    total = max(1, len(table.rows))
    named = sum(at < len(row.cells) and names_recording(row.cells[at]) for row in table.rows)
    even = sum(len(row.cells) == table.width for row in table.rows)
    return named / total, not choice.question and table.width > 1, even / total


def _find_line(
    tails: Sequence[str],
    by_id: Mapping[str, TranscriptLine],
    by_stem: Mapping[str, Sequence[TranscriptLine]],
) -> TranscriptLine | None:
    for tail in tails:
        if tail in by_id:
            return by_id[tail]
    same = by_stem.get(tails[-1], ())
    return same[0] if len(same) == 1 else None


def _list_path_tails(file: Path, place: Path) -> list[str]:
    """Return "a/b/c", "b/c", "c" for the file a/b/c.wav."""
    inside = file.relative_to(place) if file.is_relative_to(place) else Path(file.name)
    parts = normalize_id(inside.with_suffix("").as_posix()).split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _check_row(path: Path, row: TableRow, table: Table, choice: ColumnChoice) -> None:
    where = f"{path.name}, line {row.number}"
    columns = len(choice.header) or table.width
    cells = len(row.cells)
    while cells > columns and not row.cells[cells - 1]:
        cells -= 1
    if cells == 1:
        mark = table.separator if table.separator in ("|", ";", ",") else "tab"
        raise TranscribeError(
            f"{where}: it has no {mark!r}. A line must be 'clip|text'; move other files out of "
            "the folder."
        )
    if cells > columns:
        raise TranscribeError(
            f"{where}: {cells} columns; the list has {columns}. Put a text that contains "
            f"{table.separator!r} into quotes."
        )
    if choice.roles[AUDIO] >= cells or not row.cells[choice.roles[AUDIO]]:
        raise TranscribeError(f"{where}: no clip is named in column {choice.roles[AUDIO] + 1}.")
    if choice.roles[TEXT] >= cells:
        raise TranscribeError(f"{where}: it has no column {choice.roles[TEXT] + 1} with the text.")


def _make_line(row: TableRow, roles: Mapping[str, int]) -> TranscriptLine:
    at = roles.get(NORMALIZED, roles[TEXT])
    normalized = row.cells[at] if at < len(row.cells) else ""
    return TranscriptLine(
        id=normalize_id(row.cells[roles[AUDIO]]),
        text=clean_text(normalized or row.cells[roles[TEXT]]),
        number=row.number,
    )


def _check_conflicting_texts(path: Path, lines: Sequence[TranscriptLine]) -> None:
    seen: dict[str, TranscriptLine] = {}
    for line in lines:
        first = seen.setdefault(line.id, line)
        if first.text != line.text:
            raise TranscribeError(
                f"{path.name} gives {line.id!r} one text in line {first.number} and another in "
                f"line {line.number}. Keep one of them."
            )

"""Lists of transcripts as LJSpeech has them: `id|text|normalized` in metadata.csv or train.txt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from training.asr.base import TranscribeError, clean_text
from training.asr.transcripts.text_files import read_text

LIST_FILE_NAMES = (
    *("metadata.csv", "metadata.txt", "transcripts.csv", "transcripts.txt"),
    *("train.txt", "validation.txt", "val.txt"),
)
"""Names of transcript list files."""
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"}
)  # what ids may end in
_HEADER_NAMES = frozenset(
    {"id", "file", "file_name", "filename", "audio_file", "audio", "path", "wav"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptLine:
    """The text of one recording.  id: its path in the list, without the suffix."""

    id: str
    text: str
    number: int


def read_transcript_list(path: Path) -> list[TranscriptLine]:
    """Read `id|text` or `id|text|normalized`; the normalized text is used if there is one.

    A third column with the same value everywhere names the speaker and is ignored. Raises
    TranscribeError naming the malformed line.
    """
    rows = [
        (number, [column.strip() for column in line.split("|")])
        for number, line in enumerate(read_text(path).split("\n"), start=1)
        if line.strip()
    ]
    if rows and rows[0][1][0].lower() in _HEADER_NAMES:
        rows = rows[1:]
    for number, columns in rows:
        _check_columns(path, number, columns)
    named = _is_third_column_speaker([columns for _, columns in rows])
    lines = [
        TranscriptLine(
            id=_normalize_id(columns[0]), text=_select_text(columns, named), number=number
        )
        for number, columns in rows
    ]
    _check_conflicting_texts(path, lines)
    return lines


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
    parts = [part.casefold() for part in inside.with_suffix("").parts]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _check_columns(path: Path, number: int, columns: Sequence[str]) -> None:
    if len(columns) == 1:
        raise TranscribeError(
            f"{path.name}, line {number}: it has no '|'. A line must be 'clip|text'; move other "
            "files out of the folder."
        )
    if len(columns) > 3:
        raise TranscribeError(
            f"{path.name}, line {number}: {len(columns)} columns; use 'clip|text' or "
            "'clip|text|normalized text'."
        )
    if not columns[0]:
        raise TranscribeError(f"{path.name}, line {number}: no clip is named before the '|'.")


def _normalize_id(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/").casefold())
    path = path.with_suffix("") if path.suffix in AUDIO_SUFFIXES else path
    return path.as_posix().removeprefix("./")


def _select_text(columns: Sequence[str], third_names_a_speaker: bool) -> str:
    normalised = "" if third_names_a_speaker else "".join(columns[2:])
    return clean_text(normalised or columns[1])


def _is_third_column_speaker(rows: Sequence[Sequence[str]]) -> bool:
    thirds = {row[2] if len(row) == 3 else "" for row in rows}
    return len(rows) > 2 and len(thirds) == 1 and len({row[1] for row in rows}) > 1


def _check_conflicting_texts(path: Path, lines: Sequence[TranscriptLine]) -> None:
    seen: dict[str, TranscriptLine] = {}
    for line in lines:
        first = seen.setdefault(line.id, line)
        if first.text != line.text:
            raise TranscribeError(
                f"{path.name} gives {line.id!r} one text in line {first.number} and another in "
                f"line {line.number}. Keep one of them."
            )

"""Which column of a table holds what, by the names in its first row or as the user says."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.serialization import suggest_similar
from core.tables.reader import Table, TableError, TableRow

PREVIEW_ROWS = 3
MAX_CELL_CHARS = 40  # of a cell in a preview
AUDIO, TEXT, NORMALIZED, SPEAKER = "audio", "text", "normalized", "speaker"
OTHER = "other"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OTHER_WORDS = _words(
    "duration seconds length size filesize rate start end begin stop offset lang language locale "
    "gender sex age accent emotion style split subset dataset score snr phonemes phones ipa "
    "comment comments note notes translation votes date time count license segment"
)
_NORMALIZED_WORDS = _words("normalized normalised norm cleaned clean spoken")
_ID_WORDS = _words("id ids key index number no nr")
_WORDS_OF_ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        SPEAKER: _words(
            "speaker speakers spk spkr voice voices actor actress character reader narrator client "
            "person artist singer talker who sprecher sprecherin stimme locuteur voix hablante "
            "locutor voz voce parlante"
        ),
        AUDIO: _words(
            "audio audiofile audiopath wav wavs wave file files filename filenames filepath path "
            "paths clip clips recording recordings sound sample utt uttid fileid datei dateiname "
            "fichier archivo arquivo"
        ),
        TEXT: _words(
            "text texts transcript transcripts transcription transcriptions sentence sentences "
            "utterance line lines content script words caption subtitle prompt phrase orthography "
            "texte texto testo tekst satz transkript transkription"
        ),
    }
)
_FIRST_CHOICE = {  # of several names of one role, in this order
    AUDIO: ("audio", "audio_file", "file", "file_name", "filename", "path", "wav", "id"),
    TEXT: ("text", "transcription", "transcript", "sentence"),
    SPEAKER: ("speaker", "speaker_name", "voice"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoice:
    """Which columns of a table are used.

    roles: of columns, by role, counted from 0;  header: the names in the first row, () without;
    question: what is not sure, "" where everything is.
    """

    roles: Mapping[str, int]
    header: tuple[str, ...] = ()
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePreview:
    """The first rows of a table and the columns that are used.

    columns: a label of each column: its number, name and use;  question: what is not sure, "" where
    everything is.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    question: str = ""

    def format_lines(self) -> list[str]:
        """Return the preview as lines of plain text."""
        lines = [f"{self.name}: {', '.join(self.columns)}"]
        return [*lines, *(f"    {' | '.join(row)}" for row in self.rows)]


def normalize_column_name(name: str) -> str:
    """Return a column name in lower case with "_" between its words: "File Name" -> file_name."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def guess_role(name: str) -> str:
    """Return the role that a column name stands for, "other" for other data, "" where unknown."""
    words = normalize_column_name(name).split("_")
    if _OTHER_WORDS.intersection(words):
        return OTHER
    if words[-1] in _ID_WORDS:
        if _WORDS_OF_ROLES[SPEAKER].intersection(words):
            return SPEAKER
        return OTHER if len(words) == 1 and words[0] not in ("id", "key") else AUDIO
    if _NORMALIZED_WORDS.intersection(words) and not _WORDS_OF_ROLES[AUDIO].intersection(words):
        return NORMALIZED
    for word in reversed(words):
        for role, known in _WORDS_OF_ROLES.items():
            if word in known:
                return role
    return ""


def choose_named_columns(names: Sequence[str], roles: Sequence[str]) -> dict[str, list[int]]:
    """Return the columns of each role, the best name first."""
    guessed = [guess_role(name) for name in names]
    found: dict[str, list[int]] = {}
    for role in roles:
        best = _FIRST_CHOICE.get(role, ())
        places = [at for at, one in enumerate(guessed) if one == role]
        found[role] = sorted(places, key=lambda at: _rank(normalize_column_name(names[at]), best))
    return found


def is_first_choice(role: str, name: str) -> bool:
    """Return whether a column name is one of the usual ones of a role, word for word."""
    return normalize_column_name(name) in _FIRST_CHOICE.get(role, ())


def _rank(name: str, best: Sequence[str]) -> int:
    return best.index(name) if name in best else len(best)


def parse_column_choice(text: str, roles: Sequence[str]) -> dict[str, str]:
    """Parse "audio=1, text=Sentence": the number, from 1, or the name of the column of a role.

    Raises TableError for another form and for unknown roles.
    """
    chosen: dict[str, str] = {}
    for part in filter(str.strip, re.split(r"[,;]", text)):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise TableError(
                f"{part.strip()!r} does not name a column. Write ROLE=COLUMN with the number or "
                f"the name of the column, as in {roles[0]}=1,{roles[-1]}=2."
            )
        if role.casefold() not in roles:
            hint = suggest_similar(role, roles) or f" There are: {', '.join(roles)}."
            raise TableError(f"{role!r} is not what a column can be used for.{hint}")
        chosen[role.casefold()] = column
    return chosen


def resolve_columns(table: Table, name: str, chosen: Mapping[str, str]) -> dict[str, int]:
    """Return the columns, counted from 0, that numbers and names stand for.  Raises TableError."""
    names = [normalize_column_name(cell) for cell in table.rows[0].cells] if table.rows else []
    found = {}
    for role, column in chosen.items():
        if column.isdecimal():
            at = int(column) - 1
        elif normalize_column_name(column) in names:
            at = names.index(normalize_column_name(column))
        else:
            at = -1
        if not 0 <= at < max(table.width, len(names)):
            listed = ", ".join(table.rows[0].cells) if table.rows else "none"
            raise TableError(
                f"{name} has no column {column!r}. Its first row is: {listed}. Give the number of "
                "a column, from 1, or a name in the first row."
            )
        found[role] = at
    return found


def make_preview(name: str, table: Table, choice: ColumnChoice) -> TablePreview:
    """Return the preview of a table."""
    width = max((len(row.cells) for row in table.rows[: PREVIEW_ROWS + 1]), default=0)
    uses = {at: role for role, at in choice.roles.items()}
    labels = []
    for at in range(width):
        named = choice.header[at] if at < len(choice.header) else ""
        label = f"column {at + 1}" + (f" ({_shorten(named)})" if named else "")
        labels.append(f"{label}: {uses.get(at, 'not used')}")
    body = table.rows[1:] if choice.header else table.rows
    return TablePreview(
        name=name,
        columns=tuple(labels),
        rows=tuple(_shorten_row(row, width) for row in body[:PREVIEW_ROWS]),
        question=choice.question,
    )


def _shorten_row(row: TableRow, width: int) -> tuple[str, ...]:
    cells = [*row.cells, *("" for _ in range(width - len(row.cells)))]
    return tuple(_shorten(cell) for cell in cells)


def _shorten(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= MAX_CELL_CHARS else line[: MAX_CELL_CHARS - 1] + "…"

"""Which columns of a list of transcripts are the recordings, the texts and the speakers.

Names in the first row decide; without them the recordings in the folder and the kind of the cells.
An ambiguous choice becomes a question, since a wrong column would be trained on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

from core.tables.columns import (
    AUDIO,
    NORMALIZED,
    SPEAKER,
    TEXT,
    ColumnChoice,
    choose_named_columns,
    guess_role,
    is_first_choice,
)
from core.tables.reader import Table, TableRow

MAX_ROWS_SEEN = 500  # enough to recognize the kind of a column
MAX_NAME_WORDS, MAX_NAME_CHARS = 4, 40  # of a column name or a speaker
MIN_SHARED_WORDS = 0.4  # of a text with its normalized form
_SENTENCE_END = re.compile(r"[.!?…。！？;:,][\"'”’»)]*$")
_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{6}")
_WORD = re.compile(r"[^\W_]+")

NamesRecording: TypeAlias = Callable[[str], bool]


def has_header(table: Table, names_recording: NamesRecording) -> bool:
    """Return whether the first row names the columns."""
    cells = [cell for cell in table.rows[0].cells if cell] if table.rows else []
    known = [bool(_is_short(cell) and guess_role(cell)) for cell in cells]
    if any(map(names_recording, cells)):
        return len(cells) > 1 and all(known)
    return any(known)


def choose_columns(table: Table, names_recording: NamesRecording) -> ColumnChoice:
    """Choose the columns of a list.  names_recording: whether a cell names a known recording."""
    if not table.rows:
        return ColumnChoice(roles={}, question="it is empty")
    header = table.rows[0].cells if has_header(table, names_recording) else ()
    body = table.rows[1:] if header else table.rows
    columns = _transpose(body, max(table.width, len(header)))
    named = choose_named_columns(header, (AUDIO, TEXT, NORMALIZED, SPEAKER))
    audio = _choose_audio(columns, named[AUDIO], names_recording)
    roles = {AUDIO: audio}
    rest = [at for at, cells in enumerate(columns) if at != audio and any(cells)]
    if named[TEXT] or named[NORMALIZED]:
        found, question = _choose_named_text(header, columns, named)
    else:
        unnamed = [at for at in rest if at >= len(header) or not guess_role(header[at])]
        found, question = _choose_text(columns, unnamed, columns[audio])
    if named[SPEAKER]:
        found = {SPEAKER: named[SPEAKER][0], **found}
    if len(columns) > 1 and TEXT not in found and not question:
        question = "no column looks like the text"
    return ColumnChoice(roles={**roles, **found}, header=header, question=question)


def _transpose(rows: Sequence[TableRow], width: int) -> list[tuple[str, ...]]:
    seen = rows[:MAX_ROWS_SEEN]
    return [
        tuple(row.cells[at] if at < len(row.cells) else "" for row in seen) for at in range(width)
    ]


def _choose_audio(
    columns: Sequence[Sequence[str]], named: Sequence[int], names_recording: NamesRecording
) -> int:
    """Return the column that names most recordings; without any, the one that is called so."""
    counts = [sum(map(names_recording, cells)) for cells in columns]
    best = max(counts)
    return next((at for at in named if counts[at] == best), counts.index(best))


def _choose_named_text(
    header: Sequence[str], columns: Sequence[Sequence[str]], named: Mapping[str, Sequence[int]]
) -> tuple[dict[str, int], str]:
    texts = named[TEXT] or named[NORMALIZED]
    found = {TEXT: texts[0]}
    if named[TEXT] and named[NORMALIZED]:
        found[NORMALIZED] = named[NORMALIZED][0]
    rivals = [at for at in texts[1:] if columns[at] != columns[texts[0]]]
    if rivals and (
        not is_first_choice(TEXT, header[texts[0]]) or is_first_choice(TEXT, header[rivals[0]])
    ):
        listed = " or ".join(repr(header[at]) for at in (texts[0], *rivals))
        return found, f"the text could be {listed}"
    return found, ""


def _choose_text(
    columns: Sequence[Sequence[str]], rest: Sequence[int], audio: Sequence[str]
) -> tuple[dict[str, int], str]:
    """Choose among columns without names."""
    texts = [at for at in rest if not all(map(_is_label, filter(None, columns[at])))]
    labels = [at for at in rest if at not in texts]
    if not texts:
        texts = labels if len(labels) == 1 else _leave_out_speakers(columns, labels, audio)
    if len(texts) == 1:
        return {TEXT: texts[0]}, ""
    if len(texts) == 2 and _is_normalized(columns[texts[0]], columns[texts[1]]):
        return {TEXT: texts[0], NORMALIZED: texts[1]}, ""
    listed = " or ".join(str(at + 1) for at in texts or rest)
    return {}, f"{len(columns)} columns, and the text could be column {listed}"


def _leave_out_speakers(
    columns: Sequence[Sequence[str]], labels: Sequence[int], audio: Sequence[str]
) -> list[int]:
    """Return the labels that are not speakers: the same in every row, or a folder of the path."""
    pairs = combinations(labels, 2)
    if len(labels) == 2 and all(_is_normalized(columns[a], columns[b]) for a, b in pairs):
        return list(labels)

    def names_speaker(cells: Sequence[str]) -> bool:
        if len(cells) > 1 and len(set(cells)) == 1:
            return True
        return all(
            cell and cell.casefold() in _WORD.findall(path.casefold())
            for cell, path in zip(cells, audio, strict=True)
        )

    return [at for at in labels if not names_speaker(columns[at])]


def _is_short(cell: str) -> bool:
    return len(cell) <= MAX_NAME_CHARS and len(cell.split()) <= MAX_NAME_WORDS and _is_label(cell)


def _is_label(cell: str) -> bool:
    """Return whether a cell may be a name, a code or a number; a sentence is none."""
    few = len(cell.split()) <= MAX_NAME_WORDS - 1 and len(cell) <= MAX_NAME_CHARS
    return few and not _SENTENCE_END.search(cell) and not _NO_SPACES.search(cell)


def _is_normalized(texts: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether the second column is the first one in other spelling."""
    shares = [
        _share_of_common_words(text, other)
        for text, other in zip(texts, others, strict=True)
        if text and other
    ]
    return bool(shares) and sum(shares) / len(shares) >= MIN_SHARED_WORDS


def _share_of_common_words(text: str, other: str) -> float:
    """Compare by words; digits on one side only are left out, since the other spells them."""
    one, two = (set(_WORD.findall(side.casefold())) for side in (text, other))
    written = {word for word in one if re.search(r"\d", word)}
    plain = one - written
    if written and not plain:
        return float(not any(re.search(r"\d", word) for word in two))
    return len(plain & two) / max(1, len(plain))

"""Edits of the lines of a clip: split, join, add, remove and move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.errors import AppError
from studio.schemas.speech import check_text
from studio.synthesis.line_takes import LineTakes, LineTakesFile

EDIT_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "split": "Split line",
        "join": "Join the next line with line",
        "add": "Add a line after line",
        "remove": "Delete line",
        "move": "Move line",
    }
)
NEW_LINE_TEXT = "New line."
MAX_LINES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEdit:
    """One edit.

    kind: of EDIT_TITLES;  line: from 0;  target: the new place of a moved line;  text: of the line,
    as typed, and caret: the character at which it is split.
    """

    kind: str
    line: int
    target: int = 0
    text: str = ""
    caret: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedLine:
    """A line after an edit: an earlier one as it is, or a new text to speak.

    source: the earlier line, whose voice and options a new text has;  text: None keeps its takes.
    """

    source: int
    text: str | None = None

    def __post_init__(self) -> None:
        if self.text is not None:
            check_text(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditLinesRequest:
    """Give a clip other lines, speak the new ones, and join it again.

    clip: its path below the results;  lines: all lines in order.
    """

    clip: str
    lines: tuple[EditedLine, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.lines) <= MAX_LINES:
            raise AppError(
                f"A clip has 1 to {MAX_LINES:,} lines, not {len(self.lines):,}. To remove the "
                "last line, delete the clip in the History tab."
            )


def plan_line_edit(lines: LineTakesFile, edit: LineEdit) -> tuple[EditedLine, ...]:
    """Return all lines after an edit. Raises AppError where it cannot be done."""
    lines.line(edit.line)
    rows = [EditedLine(source=index) for index in range(len(lines.lines))]
    match edit.kind:
        case "split":
            rows[edit.line : edit.line + 1] = _split(lines, edit)
        case "join":
            following = lines.line(edit.line + 1)
            first = _get_text(lines.line(edit.line), edit.text)
            text = f"{first} {_get_text(following)}"
            rows[edit.line : edit.line + 2] = [EditedLine(source=edit.line, text=text)]
        case "add":
            rows.insert(edit.line + 1, EditedLine(source=edit.line, text=NEW_LINE_TEXT))
        case "remove":
            del rows[edit.line]
        case "move":
            lines.line(edit.target)
            rows.insert(edit.target, rows.pop(edit.line))
        case _:
            raise AppError("Unknown action. Reload the page.")
    return tuple(rows)


def _split(lines: LineTakesFile, edit: LineEdit) -> Sequence[EditedLine]:
    text = edit.text or _get_text(lines.line(edit.line))
    parts = [text[: edit.caret].strip(), text[edit.caret :].strip()]
    if not all(parts):
        raise AppError(
            "Place the cursor in the text where the line is to be split, then press Split."
        )
    return [EditedLine(source=edit.line, text=part) for part in parts]


def _get_text(line: LineTakes, typed: str = "") -> str:
    if typed.strip():
        return " ".join(typed.split())
    return line.take(line.chosen).text if line.chosen else line.heard

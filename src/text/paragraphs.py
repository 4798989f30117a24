"""Split a text into paragraphs: wrapped lines, blank lines, headings, lists and speakers. Light."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from text.pauses import PauseKind
from text.short_forms import word_set

MAX_WRAP_WIDTH = 120  # characters; a longer line was not wrapped, it is a paragraph of its own
MIN_PROSE_WIDTH = 50  # characters; lines that start with capitals and are shorter may be verse
MAX_HEADING_CHARS = 80
SHORT_LINE_SHARE = 0.6  # of the width; a shorter line ends a paragraph
FULL_LINE_SHARE = 0.8  # of the width; a line that would be longer with the next word was wrapped
_SCENE_BREAK_BLANKS = 1_000  # blank lines that a scene break counts as

_LINE_ENDS = re.compile(r"\r\n|[\r\x85\u2028]")
_PARAGRAPH_ENDS = re.compile(r"[\u2029\x0b\x0c]")
_QUOTED_LINE = re.compile(r"\A\s*(?:>(?![\d=])\s?)+")  # of e-mail and Markdown
_SCENE_BREAK = re.compile(r"\s*(?:[*#~•·⁂❦❧_=+§]\s*|[-–—]\s*(?=[-–—]|$))+")
_UNDERLINE = re.compile(r"\s*(?:={3,}|-{3,})\s*")
_HASH_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(?=\S)")
_NAMED_HEADING = re.compile(
    r"(?:chapter|part|book|section|act|scene|volume|canto|letter|appendix|lesson|unit|stave)\s+"
    r"(?:\d+|[ivxlc]+|the\s+\w+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty[\w-]*|thirty[\w-]*|"
    r"[a-z])\b(?:\s*[-.:–—].*)?"
    r"|prologue|epilogue|preface|foreword|introduction|contents|acknowledge?ments|conclusion"
    r"|interlude|afterword|postscript|abstract|summary|references",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\s*(?:[-*+•◦▪▫‣⁃·●○■□✓✔→–—]|o(?=\t))\s+(?=\S)(?:\[[ xX]\]\s+)?")
_NUMBERED = re.compile(r"\s*\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\s+(?=\S)")
_SPEAKER = re.compile(
    r"\s*(?:[A-Z][\w.'’-]*(?:\s[A-Z][\w.'’-]*){0,3}(?:\s?\([^)]*\))?:|[A-Z]{2,}[A-Z .'’-]*\.)"
    r"\s+(?=\S)"
)
_OPENING_QUOTE = re.compile(r"\s*[\"“«‘„]\s*\w")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]*_]*$")
_PAUSE_MARK = re.compile(r"[,;:–—-][\"'”’»)\]]*$")
_SPLIT_WORD = re.compile(r"([a-z]{2,})[-\u00ad]$")
_COMPOUND_STARTS = word_set(
    "well self half non ex all high low long short old new full part two three four five six seven "
    "eight nine ten year semi cross so ever much ill far mid post pre co re anti multi over under "
    "in on off up mother father sister brother good bad blue red green black white cold hot twenty "
    "thirty forty fifty sixty seventy eighty ninety time life hand ready open first second third "
    "north south east west left right by one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A part of a text that no piece reaches beyond.

    text: on one line; pause: behind it; line: lines of the text before it.
    """

    text: str
    line: int
    pause: PauseKind = "sentence"
    is_heading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line that is not blank.

    text: without quote marks, bullets and signs of a heading; starts: whether a paragraph starts
    here in any case.
    """

    number: int
    raw: str
    text: str
    starts: bool = False
    is_item: bool = False
    is_heading: bool = False

    @property
    def indent(self) -> int:
        return len(self.raw.expandtabs()) - len(self.raw.expandtabs().lstrip())

    @property
    def is_finished(self) -> bool:
        return bool(_SENTENCE_END.search(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Lines between blank lines.  blanks: blank lines behind them; a scene break counts as more."""

    lines: tuple[_Line, ...]
    blanks: int


def count_usual_blanks(text: str) -> int:
    """Return how many blank lines separate the paragraphs of a text; more separate sections."""
    rows = [bool(row.strip()) for row in _unify_line_ends(text).strip().split("\n")]
    blanks = [len(list(run)) for has_text, run in groupby(rows) if not has_text]
    return min(blanks, default=1)


def split_paragraphs(text: str, usual_blanks: int | None = None) -> list[Paragraph]:
    """Split a text into paragraphs, headings, list items and the lines of each speaker.

    usual_blanks: see count_usual_blanks, for a part of a text. Wrapped lines are joined; lines of
    verse are joined with a comma. The pause behind the last paragraph is that of a sentence unless
    blank lines follow.
    """
    blocks = _find_blocks(_unify_line_ends(text).split("\n"))
    usual_blanks = usual_blanks or count_usual_blanks(text)
    paragraphs: list[Paragraph] = []
    for block in blocks:
        found = _split_block(block.lines)
        if block.blanks and found:
            kind: PauseKind = "section" if block.blanks > usual_blanks else "paragraph"
            found[-1] = replace(found[-1], pause=kind)
        if found and found[0].is_heading and paragraphs and not paragraphs[-1].is_heading:
            paragraphs[-1] = replace(paragraphs[-1], pause="section")
        paragraphs += found
    return paragraphs


def _unify_line_ends(text: str) -> str:
    return _PARAGRAPH_ENDS.sub("\n\n", _LINE_ENDS.sub("\n", text))


def _find_blocks(rows: Sequence[str]) -> list[_Block]:
    blocks: list[_Block] = []
    lines: list[str] = []
    start = blanks = 0
    for number, row in enumerate([*rows, ""]):
        is_underline = (
            bool(_UNDERLINE.fullmatch(row)) and lines and not blanks and _is_title(lines[-1])
        )
        is_break = bool(_SCENE_BREAK.fullmatch(row)) and not is_underline
        if row.strip() and not is_break:
            if blanks and lines:
                blocks.append(_Block(lines=_read_lines(lines, start), blanks=blanks))
                lines, blanks = [], 0
            start = start if lines else number
            lines.append(row)
        elif lines and number < len(rows):
            blanks += _SCENE_BREAK_BLANKS if is_break else 1
    if lines:
        blocks.append(_Block(lines=_read_lines(lines, start), blanks=blanks))
    return blocks


def _read_lines(rows: Sequence[str], start: int) -> tuple[_Line, ...]:
    """Read what each line of a block is."""
    rows = [_QUOTED_LINE.sub("", row) for row in rows]
    bullets = [_BULLET.match(row) for row in rows]
    numbers = [_NUMBERED.match(row) for row in rows]
    speakers = [_SPEAKER.match(row) for row in rows]
    is_list = sum(map(bool, bullets)) > 1 or bool(bullets[0])
    is_numbered = sum(map(bool, numbers)) > 1 or bool(
        numbers[0] and rows[0].strip(" (")[0].isdigit()
    )
    is_dialogue = sum(map(bool, speakers)) > 1
    lines: list[_Line] = []
    for index, row in enumerate(rows):
        if _UNDERLINE.fullmatch(row) and lines:
            lines[-1] = replace(lines[-1], is_heading=True, starts=True)
            continue
        bullet = bullets[index] if is_list else None
        if bullet and sum(map(bool, bullets)) == 1 and row[bullet.end()].isdigit():
            bullet = None  # a minus
        is_item = bool(bullet or (is_numbered and numbers[index]))
        text = row[bullet.end() :] if bullet else row
        hashes = _HASH_HEADING.match(text)
        text = (text[hashes.end() :].rstrip("# ") if hashes else text).strip()
        is_heading = not is_item and (bool(hashes) or _is_heading(text, rows[index + 1 :]))
        lines.append(
            _Line(
                number=start + index,
                raw=row,
                text=text,
                starts=is_item or is_heading or bool(is_dialogue and speakers[index]),
                is_item=is_item,
                is_heading=is_heading,
            )
        )
    return tuple(line for line in lines if line.text)


def _is_title(text: str) -> bool:
    """Return whether a line may be a title: short and without a mark of a sentence."""
    return len(text) <= MAX_HEADING_CHARS and text.rstrip()[-1:] not in ".,;:"


def _is_heading(text: str, following: Sequence[str]) -> bool:
    if not _is_title(text):
        return False
    if _NAMED_HEADING.fullmatch(text):
        return True
    is_loud = text.isupper() and sum(map(str.isalpha, text)) > 2 and not text.endswith(("!", "?"))
    return is_loud and bool(following) and not following[0].isupper()


def _split_block(lines: Sequence[_Line]) -> list[Paragraph]:
    width = max((len(line.raw.rstrip()) for line in lines), default=0)
    is_prose = width >= MIN_PROSE_WIDTH or any(
        line.text[0].islower() and not line.is_item for line in lines[1:]
    )
    paragraphs: list[Paragraph] = []
    in_list = False
    for index, line in enumerate(lines):
        previous = lines[index - 1] if index else None
        if previous is None or _starts_paragraph(previous, line, width):
            if previous is not None and not (in_list and line.is_item):
                paragraphs[-1] = replace(paragraphs[-1], pause="paragraph")
            paragraphs.append(
                Paragraph(text=line.text, line=line.number, is_heading=line.is_heading)
            )
            in_list = line.is_item
        else:
            joined = _join_lines(paragraphs[-1].text, previous, line, width if is_prose else 0)
            paragraphs[-1] = replace(paragraphs[-1], text=joined)
    return paragraphs


def _starts_paragraph(previous: _Line, line: _Line, width: int) -> bool:
    if line.starts or previous.is_heading:
        return True
    if line.text[0].islower():
        return False
    if _OPENING_QUOTE.match(line.raw) and previous.is_finished:
        return True
    if previous.is_item:
        is_wrapped = width >= MIN_PROSE_WIDTH and _is_full(previous, line, width)
        return not (is_wrapped or line.indent > previous.indent)
    if line.indent > previous.indent + 1:
        return previous.is_finished
    if width > MAX_WRAP_WIDTH:
        return True
    is_short = len(previous.raw.rstrip()) < SHORT_LINE_SHARE * width
    return is_short and width >= MIN_PROSE_WIDTH and not _PAUSE_MARK.search(previous.text)


def _join_lines(text: str, previous: _Line, line: _Line, width: int) -> str:
    """Join a line to the paragraph; width: of the wrapped lines, 0 for lines of verse."""
    split = _SPLIT_WORD.search(text)
    if split and line.text[0].islower() and split[1] not in _COMPOUND_STARTS:
        return text[:-1] + line.text
    if split:
        return text + line.text
    is_wrapped = (
        line.text[0].islower()
        or previous.is_finished
        or _PAUSE_MARK.search(text) is not None
        or (width > 0 and _is_full(previous, line, width))
    )
    return f"{text} {line.text}" if is_wrapped else f"{text}, {line.text}"


def _is_full(previous: _Line, line: _Line, width: int) -> bool:
    """Return whether the next word would not have fitted into the line before."""
    first_word = line.text.split(maxsplit=1)[0]
    return len(previous.raw.rstrip()) + len(first_word) >= FULL_LINE_SHARE * width

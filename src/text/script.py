"""Parse scripts: overrides, [bracketed prompts], steering words, paragraphs and pauses."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from core.errors import CodedError
from core.paths import quote_for_message
from text.normalization.pipeline import normalize_text
from text.overrides import DURATION, VOICE, LineOptions, ScriptError
from text.paragraphs import count_usual_blanks, split_paragraphs
from text.pauses import SENTENCE_PAUSE, Pause, split_at_pauses
from text.pronunciations import (
    PronunciationError,
    check_phonemes,
    join_phonemes,
    show_phonemes,
)
from text.segmentation import TextPiece, is_speakable, split_text
from text.speakers import fold_speakers, parse_row, split_rows

__all__ = ["DURATION", "VOICE", "InvalidLine", "NothingToSpeakError", "ScriptError", "ScriptItem",
           "ScriptLine", "ScriptNotice", "parse_lines", "parse_script", "split_line"]  # fmt: skip

MAX_SHOWN_CHARS = 40  # of a text that a notice quotes
NO_SPEAKERS: Mapping[str, str] = MappingProxyType({})

_BRACKETS = re.compile(r"[\[\]]")
_EMPTY_BRACKETS = re.compile(r"\[\s*\]")
_LINK = re.compile(  # of Markdown: [text](url "title"), [text][1], and images
    r"!?\[([^\[\]]*)\]\([ \t]*(?:<[^<>\n]*>|[^\s()<>]+(?:\([^\s()]*\)[^\s()]*)*)"
    r"(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ \t]*\)"
    r"|\[(?=[^\[\]]*[^\W\d_])([^\[\]]*)\]\[\d{1,3}\]"
)
_MARKUP_SIGNS = re.compile(r"[<&]")


class NothingToSpeakError(CodedError, ScriptError):
    """All parts of a script are left out."""

    code = "unspeakable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLine:
    """One line of a script, or one paragraph of it.

    text: for the model, with bracketed words. spans: (start, end) of each bracketed part in it,
    with its brackets, in order. steering: words put before the line in brackets. override: options
    of this line alone. raw: as typed. number: from 1. pause: behind it; lead_s: seconds of silence
    before it, for the first line.
    """

    number: int
    raw: str
    text: str
    spans: tuple[tuple[int, int], ...] = ()
    steering: str = ""
    override: Mapping[str, Any] = field(default_factory=dict)  # Any: plain JSON values
    pause: Pause = SENTENCE_PAUSE
    lead_s: float = 0.0

    @property
    def spoken_text(self) -> str:
        """Return the text without its bracketed parts."""
        place, parts = 0, []
        for start, end in self.spans:
            parts.append(self.text[place:start])
            place = end
        return show_phonemes(" ".join(" ".join([*parts, self.text[place:]]).split()))


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidLine:
    """A line that cannot be spoken.  reason: a sentence that names it."""

    number: int
    raw: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptNotice:
    """A part of a script that is left out or not supported.

    message: a sentence that says what and where.
    """

    number: int
    message: str


ScriptItem = ScriptLine | InvalidLine | ScriptNotice


def parse_script(
    text: str,
    delimiter: str = "",
    *,
    known: Collection[str] = (),
    steering: str = "",
    speakers: Mapping[str, str] = NO_SPEAKERS,
) -> list[ScriptLine]:
    """Return the lines of a script, paragraph by paragraph, without what cannot be spoken.

    delimiter: between lines; "\\n" may be typed as a backslash and an n; empty: the text is one
    line, but an override starts a line of its own. known: options that an override may set besides
    voice. steering: words that steer every line and are cut out. speakers: the voice of each name
    that rows begin with, `Anna: Hello.`, whose name is then not spoken. Raises ScriptError for an
    invalid line, and where nothing remains of a text that is not blank.
    """
    items = parse_lines(text, delimiter, known=known, steering=steering, speakers=speakers)
    for item in items:
        if isinstance(item, InvalidLine):
            raise ScriptError(item.reason)
    lines = [item for item in items if isinstance(item, ScriptLine)]
    notices = [item for item in items if isinstance(item, ScriptNotice)]
    if notices and not lines:
        raise NothingToSpeakError(
            f"There is nothing to speak in the text; add some words. {notices[0].message}"
        )
    return lines


def parse_lines(
    text: str,
    delimiter: str = "",
    *,
    known: Collection[str] = (),
    steering: str = "",
    speakers: Mapping[str, str] = NO_SPEAKERS,
) -> list[ScriptItem]:
    """Return the lines of a script as `parse_script` does, with invalid lines and notices."""
    if _BRACKETS.search(steering):
        raise ScriptError("The prompt is put in brackets; write it without brackets.")
    names, voices = sorted({VOICE, DURATION, *known}), fold_speakers(speakers)
    text = join_phonemes(text)
    reader = _ScriptReader(
        steering=" ".join(steering.split()), usual_blanks=count_usual_blanks(text)
    )
    for number, raw in split_rows(text, delimiter, names, voices):
        try:
            reader.read_row(number, raw, parse_row(number, raw, names, voices))
        except ScriptError as wrong:
            reader.items.append(InvalidLine(number=number, raw=raw, reason=str(wrong)))
    reader.end()
    return reader.items


@dataclass(slots=True, kw_only=True)
class _ScriptReader:
    """Collects lines, notices and pauses.

    usual_blanks: lines between paragraphs; last: where the last line is in the items; lead_s: of
    silence asked for before the first line.
    """

    steering: str
    usual_blanks: int
    items: list[ScriptItem] = field(default_factory=list)
    last: int | None = None
    lead_s: float = 0.0

    def read_row(self, number: int, raw: str, options: LineOptions) -> None:
        """Read the paragraphs and pauses of one row, whose first line has this number."""
        if not raw.strip():
            self._lengthen_pause()
            return
        if options.notice:
            self._add_notice(number, options.notice)
        paused = split_at_pauses(_remove_link_targets(options.body))
        for notice in paused.notices:
            self._add_notice(number + notice.line, notice.message)
        first, before = number, self.last
        for index, part in enumerate(paused.parts):
            for paragraph in split_paragraphs(part, self.usual_blanks):
                self._add_line(
                    ScriptLine(
                        number=first + paragraph.line,
                        raw=raw,
                        text=paragraph.text,
                        steering=self.steering,
                        override=options.override,
                        pause=Pause(kind=paragraph.pause),
                    )
                )
            first += part.count("\n")
            if index < len(paused.pauses):
                self._add_pause(paused.pauses[index])
        if options.override and self.last == before:
            self._add_notice(number, "there is no text after the override; it is left out")

    def end(self) -> None:
        """End with silence only where it was asked for."""
        line = self._last_line()
        if line is not None and line.pause.seconds is None:
            self._replace_last(replace(line, pause=Pause(kind="none", seconds=0.0)))

    def _add_line(self, line: ScriptLine) -> None:
        body = self._remove_unmatched_brackets(line.number, line.text)
        prefix = f"[{self.steering}] " if self.steering else ""
        text = prefix + _EMPTY_BRACKETS.sub(" ", body).strip()
        try:
            check_phonemes(text, f"Line {line.number}")
        except PronunciationError as wrong:
            raise ScriptError(str(wrong)) from wrong
        line = replace(line, text=text, spans=_find_bracket_spans(text), lead_s=self.lead_s)
        if _has_words(line.spoken_text):
            self.last, self.lead_s = len(self.items), 0.0
            self.items.append(line)
        elif "[" in body:
            self._add_notice(
                line.number,
                "all of it is in brackets, so nothing would be spoken: "
                f"{_shorten(body)}; it is left out",
            )
        elif body.strip():
            self._add_notice(
                line.number, f"{_shorten(body)} has no letter or digit; it is left out"
            )

    def _add_pause(self, pause: Pause) -> None:
        line = self._last_line()
        if line is None:
            self.lead_s += pause.seconds or 0.0
        elif pause.seconds is None:
            self._replace_last(replace(line, pause=replace(line.pause, kind=pause.kind)))
        else:
            seconds = (line.pause.seconds or 0.0) + pause.seconds
            self._replace_last(replace(line, pause=replace(line.pause, seconds=seconds)))

    def _lengthen_pause(self) -> None:
        """A blank row separates paragraphs."""
        line = self._last_line()
        if line is not None and line.pause == SENTENCE_PAUSE:
            self._replace_last(replace(line, pause=Pause(kind="paragraph")))

    def _add_notice(self, number: int, message: str) -> None:
        self.items.append(ScriptNotice(number=number, message=f"Line {number}: {message}."))

    def _remove_unmatched_brackets(self, number: int, text: str) -> str:
        """Return the text with the outermost bracketed parts only."""
        unmatched, inner = _find_odd_brackets(text)
        for place in unmatched:
            does_open = text[place] == "["
            self._add_notice(
                number,
                f"{text[place]} in {_shorten(text[max(0, place - 15) :])} is never "
                f"{'closed' if does_open else 'opened'}; it is read as plain text",
            )
        odd = {*unmatched, *inner}
        if not odd:
            return text
        kept = (" " if place in odd else sign for place, sign in enumerate(text))
        return " ".join("".join(kept).split())

    def _last_line(self) -> ScriptLine | None:
        line = None if self.last is None else self.items[self.last]
        return line if isinstance(line, ScriptLine) else None

    def _replace_last(self, line: ScriptLine) -> None:
        assert self.last is not None, "there is a last line"
        self.items[self.last] = line


def split_line(
    line: ScriptLine,
    limit: int,
    count: Callable[[str], int],
    desired: int = 200,
    longest: int = 300,
) -> list[ScriptLine]:
    """Split a line into pieces (see split_text), each with the prompt and closed brackets.

    The last one has the pause of the line.
    """
    prefix = f"[{line.steering}] " if line.steering else ""
    body = line.text[len(prefix) :]
    room = limit - (count(prefix) if prefix else 0)
    if room < 1:
        raise ScriptError(
            f"Line {line.number}: the prompt {line.steering!r} leaves no room for the text; "
            "shorten it."
        )
    if "[" in body:
        pieces = _split_bracketed(line, prefix, body, (room, count, desired, longest))
    else:
        found = split_text(body, room, count, desired, longest, spell=normalize_text)
        pieces = [_make_piece(line, prefix + piece.text, piece) for piece in found]
    if pieces:
        pieces[0] = replace(pieces[0], lead_s=line.lead_s)
        pieces[-1] = replace(pieces[-1], pause=line.pause)
    return pieces


SplitLimits = tuple[int, Callable[[str], int], int, int]  # limit, count, desired, longest


def _split_bracketed(
    line: ScriptLine, prefix: str, body: str, splitting: SplitLimits
) -> list[ScriptLine]:
    """Close a bracket that was split, and open it again in the next chunk."""
    limit, count, desired, longest = splitting

    def count_closed(piece: str) -> int:
        return count(f"[{piece}]")

    pieces, opened = [], False
    for piece in split_text(body, limit, count_closed, desired, longest, spell=normalize_text):
        text = f"[{piece.text}" if opened else piece.text
        opened = text.rfind("[") > text.rfind("]")
        pieces.append(_make_piece(line, prefix + (f"{text}]" if opened else text), piece))
    return [piece for piece in pieces if is_speakable(piece.spoken_text)]


def _make_piece(line: ScriptLine, text: str, piece: TextPiece) -> ScriptLine:
    return replace(
        line, text=text, spans=_find_bracket_spans(text), pause=Pause(kind=piece.pause), lead_s=0.0
    )


def _remove_link_targets(text: str) -> str:
    """Return the text with each Markdown link as its words; twice, for an image in a link."""
    for _ in range(2):
        text = _LINK.sub(lambda found: found[1] or found[2] or "", text)
    return text


def _find_odd_brackets(text: str) -> tuple[list[int], list[int]]:
    """Return the places of brackets without a partner, and of those inside other brackets."""
    unmatched: list[int] = []
    inner: list[int] = []
    opened: list[int] = []
    for found in _BRACKETS.finditer(text):
        place = found.start()
        if found[0] == "[":
            opened.append(place)
        elif opened:
            start = opened.pop()
            inner += [start, place] if opened else []
        else:
            unmatched.append(place)
    return [*unmatched, *opened], inner


def _find_bracket_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Return the bracketed parts of a text whose brackets are matched."""
    return tuple(found.span() for found in re.finditer(r"\[[^\[\]]*\]", text))


def _has_words(text: str) -> bool:
    """Return whether anything is left to speak, without comments, scripts and entities."""
    is_plain = not _MARKUP_SIGNS.search(text)
    return is_speakable(text) and (is_plain or is_speakable(normalize_text(text)))


def _shorten(text: str) -> str:
    """Quote the start of a text."""
    return quote_for_message(" ".join(text.split()), MAX_SHOWN_CHARS)

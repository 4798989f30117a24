"""Split long texts into chunks that fit into one model call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

FORCED_SPLIT = "|"  # the user's own place to split

_FANCY_QUOTES = re.compile("[“”]")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n")
_CLAUSE_END = re.compile(r"(?:[,;:)\]]|\s[-–—]+)(?=\s)|[–—]+(?=\S)")
_LAST_WORD = re.compile(r"([^\s\"'“‘(\[]+)\.$")
_ABBREVIATIONS = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "drs", "st", "prof", "rev", "hon", "gen", "col", "lt", "sgt"),
        *("capt", "maj", "messrs", "mme", "vs", "vol", "pp", "approx", "e.g", "i.e", "cf"),
    )
)
_SPOKEN_SYMBOLS = frozenset("@#%&+=$€£¥°")


def split_text(
    text: str,
    limit: int,
    count: Callable[[str], int],
    desired: int = 200,
    longest: int = 300,
) -> list[str]:
    """Split a text into speakable chunks within the model's limit, without blank ones.

    limit: maximum of tokens of a chunk, by `count`. desired: characters after which no further
    sentence is added. longest: maximum of characters of a chunk. A `|` always splits. Too long text
    is split between sentences (outside quotes), then clauses, then words, then inside a word.
    """
    if limit < 1 or longest < 1:
        raise ValueError(
            f"A chunk needs room for at least one token and one character, not "
            f"{limit} and {longest}."
        )

    def fits(piece: str) -> bool:
        return len(piece) <= longest and count(piece) <= limit

    pieces: list[str] = []
    for part in text.split(FORCED_SPLIT):
        units = (
            unit
            for sentence in split_sentences(part)
            for unit in _split_to_fit(sentence, fits, _SPLITTERS)
        )
        pieces += _merge_units(units, fits, desired)
    return [piece for piece in pieces if is_speakable(piece) and count(piece)]


def is_speakable(text: str) -> bool:
    """Return whether a text has a letter, a digit or a symbol with a name."""
    return any(character.isalnum() or character in _SPOKEN_SYMBOLS for character in text)


def split_sentences(text: str) -> list[str]:
    """Split into sentences; text inside double quotes is not split."""
    return _split_at(text, _find_sentence_ends(text))


def split_clauses(text: str) -> list[str]:
    """Split after commas, colons, dashes and closing brackets."""
    return _split_at(text, [found.end() for found in _CLAUSE_END.finditer(text)])


def split_words(text: str) -> list[str]:
    """Split at spaces."""
    return text.split()


def split_in_half(text: str) -> list[str]:
    """Split a word in two."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]


Splitter = Callable[[str], list[str]]
_SPLITTERS: tuple[Splitter, ...] = (split_clauses, split_words, split_in_half)


def _split_to_fit(
    text: str, fits: Callable[[str], bool], cutters: Sequence[Splitter], joint: str = " "
) -> Iterator[tuple[str, str]]:
    """Return the largest parts that fit, each with its separator."""
    text = " ".join(text.split())
    if fits(text):
        yield joint, text
        return
    if len(text) == 1:
        raise ValueError(f"The limit is too small for {text!r} alone; allow more tokens.")
    cutter, *finer = cutters
    for part in cutter(text):
        yield from _split_to_fit(part, fits, finer or cutters, joint)
        joint = "" if cutter is split_in_half else " "


def _merge_units(
    units: Iterable[tuple[str, str]], fits: Callable[[str], bool], desired: int
) -> Iterator[str]:
    """Merge adjacent parts while they fit and the chunk is shorter than desired."""
    piece = ""
    for joint, unit in units:
        longer = f"{piece}{joint}{unit}" if piece else unit
        if piece and (len(piece) >= desired or not fits(longer)):
            yield piece
            longer = unit
        piece = longer
    if piece:
        yield piece


def _find_sentence_ends(text: str) -> list[int]:
    quoted = _find_quoted_positions(text)
    return [
        found.end()
        for found in _SENTENCE_END.finditer(text)
        if not quoted[found.end()] and not _is_abbreviation(text[: found.end()])
    ]


def _find_quoted_positions(text: str) -> list[bool]:
    """Return for every place between characters whether it is inside double quotes."""
    inside = [False]
    for character in text:
        opened = character == "“" or (inside[-1] and character != "”")
        inside.append(not inside[-1] if character == '"' else opened)
    # A quote that is never closed must not swallow the rest.
    return inside if not inside[-1] else [False] * len(inside)


def _is_abbreviation(before: str) -> bool:
    """Return whether the full stop at the end belongs to the word: Mr., e.g., J."""
    found = _LAST_WORD.search(before[-20:])
    if not found:
        return False
    word = found[1].lower()
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i")


def _split_at(text: str, ends: Sequence[int]) -> list[str]:
    starts = [0, *ends]
    parts = (text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True))
    return [part for part in parts if part]


def split_and_recombine(text: str, desired: int = 200, longest: int = 300) -> list[str]:
    """Split into chunks of about `desired` and at most `longest` characters, exactly as upstream
    does.

    Upstream ends a chunk at the first sentence end past `desired`; at `longest` it goes back to the
    last sentence end, or else to the last blank.
    """
    text = _FANCY_QUOTES.sub('"', re.sub(r"\s+", " ", re.sub(r"\n\n+", "\n", text)))
    walk = _SplitState(text=text)
    while walk.position < len(text):
        walk.step(1)
        if walk.length >= longest:
            _rewind(walk, desired)
            walk.end_piece()
        elif not walk.quoted and _ends_sentence(walk):
            while walk.position < len(text) and walk.length < longest and walk.peek(1) in "!?.":
                walk.step(1)
            walk.ends.append(walk.position)
            if walk.length >= desired:
                walk.end_piece()
        elif walk.quoted and walk.peek(1) == '"' and walk.peek(2) in "\n ":
            walk.step(2)
            walk.ends.append(walk.position)
    walk.end_piece()
    pieces = (piece.strip() for piece in walk.pieces)
    return [piece for piece in pieces if piece.strip(" .,;:!?")]


@dataclass(slots=True, kw_only=True)
class _SplitState:
    """Scanner state of upstream's text splitter."""

    text: str
    start: int = 0  # of the current chunk
    position: int = 0  # after the last character taken
    quoted: bool = False
    ends: list[int] = field(default_factory=list)  # of sentences in the current chunk
    pieces: list[str] = field(default_factory=list)

    @property
    def length(self) -> int:
        return self.position - self.start

    @property
    def last(self) -> str:
        return self.text[self.position - 1]

    def peek(self, distance: int) -> str:
        """Return a character ahead; upstream never reads the last one."""
        place = self.position - 1 + distance
        return self.text[place] if place < len(self.text) - 1 else ""

    def step(self, distance: int) -> None:
        """Go forth or back; every quote on the way opens or closes."""
        old, self.position = self.position, min(self.position + distance, len(self.text))
        first, last = old, self.position
        if distance < 0:  # upstream checks the characters it reaches, not those it drops
            first, last = self.position - 1, old - 1
        passed = self.text[first:last]
        self.quoted ^= passed.count('"') % 2 == 1

    def end_piece(self) -> None:
        self.pieces.append(self.text[self.start : self.position])
        self.start, self.ends = self.position, []


def _ends_sentence(walk: _SplitState) -> bool:
    return walk.last in "!?\n" or (walk.last == "." and walk.peek(1) in "\n ")


def _rewind(walk: _SplitState, desired: int) -> None:
    if walk.ends and walk.length > desired / 2:
        walk.step(walk.ends[-1] - walk.position)
        return
    while walk.last not in "!?.\n " and walk.position > 1 and walk.length > desired:
        walk.step(-1)

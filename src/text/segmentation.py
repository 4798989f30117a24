"""Split long texts into pieces that fit into one model call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from text.gaps import is_number_split, list_unbroken_groups
from text.pauses import PauseKind
from text.sentences import (
    find_speakers,
    split_at,
    split_enclosed_sentences,
    split_sentences,
)
from text.short_forms import word_set

__all__ = ["TextPiece", "is_speakable", "split_and_recombine", "split_sentences", "split_text"]

FORCED_SPLIT = "|"  # the user's own place to split
MIN_PIECE_CHARS = 20  # a shorter clause is joined to the next even where that must be split

_FANCY_QUOTES = re.compile("[“”]")
_CLAUSE_END = re.compile(r"(?:[,;:)\]]|\s[-–—]+)[\"”’']?(?=\s)|[–—]+(?=\S)")
_WORD_PART = re.compile(r".+?(?:[-/_.,]+(?=[^\W\d])|$)")
_SPOKEN_SYMBOLS = frozenset("@#%&+=$€£¥°")
_PHRASE_STARTS = word_set(
    "and but or nor that which who whom whose when where while because although if than as until "
    "of in on at to for from with without by into over under after before through between about "
    "like is are was were had has have"
)
_PHRASE_ENDS = word_set(
    "the a an my your his her its our their this that these those and but or nor of in on at to "
    "for from with by as very so too not no i he she it we they"
)
_NUMBER_PARTS = word_set("thousand million billion trillion dollars pounds euros point")

Fits = Callable[[str], bool]
Spell = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece:
    """A part of a text for one model call.  pause: the kind of silence behind it."""

    text: str
    pause: PauseKind


def split_text(
    text: str,
    limit: int,
    count: Callable[[str], int],
    desired: int = 200,
    longest: int = 300,
    spell: Spell | None = None,
) -> list[TextPiece]:
    """Split a text into speakable pieces within the model's limit, without blank ones.

    limit: maximum of tokens of a piece, by `count`. desired: characters after which no further
    sentence is added. longest: maximum of characters of a piece. spell: writes numbers out in
    words, for a number that is too long for one piece. A `|` always splits. Too long text is split
    between sentences, then clauses, then words (not at a short form or inside a number with its
    unit), then inside a word. Two speakers are never in one piece.
    """
    if limit < 1 or longest < 1:
        raise ValueError(
            f"A chunk needs room for at least one token and one character, not "
            f"{limit} and {longest}."
        )

    def fits(piece: str) -> bool:
        return len(piece) <= longest and count(piece) <= limit

    pieces: list[TextPiece] = []
    for part in text.split(FORCED_SPLIT):
        units = (
            unit
            for sentence in split_sentences(part)
            for unit in _split_sentence(" ".join(sentence.split()), fits, spell)
        )
        pieces += _merge_units(units, fits, desired)
    return [piece for piece in pieces if is_speakable(piece.text) and count(piece.text)]


def is_speakable(text: str) -> bool:
    """Return whether a text has a letter, a digit or a symbol with a name."""
    return any(character.isalnum() or character in _SPOKEN_SYMBOLS for character in text)


def _merge_units(units: Iterable[TextPiece], fits: Fits, desired: int) -> Iterator[TextPiece]:
    """Merge adjacent units while they fit and the piece is shorter than desired."""
    piece: TextPiece | None = None
    for unit in units:
        if piece is None:
            piece = unit
            continue
        longer = TextPiece(text=f"{piece.text} {unit.text}", pause=unit.pause)
        is_full = len(piece.text) >= desired or not fits(longer.text)
        if is_full or _is_apart(piece, unit):
            yield piece
            piece = unit
        else:
            piece = longer
    if piece is not None:
        yield piece


def _is_apart(piece: TextPiece, unit: TextPiece) -> bool:
    """Return whether two units are better not joined, even where they fit."""
    if piece.pause == "none":  # cut where the next word did not fit
        return True
    if piece.pause == "sentence" and unit.pause != "sentence":
        return len(piece.text) >= MIN_PIECE_CHARS  # only a part of the next sentence fits
    before, after = find_speakers(piece.text), find_speakers(unit.text)
    return bool(before and after and before != after)


def _split_sentence(text: str, fits: Fits, spell: Spell | None) -> Iterator[TextPiece]:
    if fits(text):
        yield TextPiece(text=text, pause="sentence")
        return
    sentences = split_enclosed_sentences(text)
    if len(sentences) > 1:
        for sentence in sentences:
            yield from _split_sentence(sentence, fits, spell)
        return
    parts = list(_split_clauses(text, fits, spell))  # none where nothing of it is read
    yield from parts[:-1]
    if parts:
        yield TextPiece(text=parts[-1].text, pause="sentence")


def _split_clauses(text: str, fits: Fits, spell: Spell | None) -> Iterator[TextPiece]:
    """Split between clauses; a clause that is too long is split between words."""
    piece = ""
    for clause in split_at(text, _find_clause_ends(text, spell)):
        longer = f"{piece} {clause}" if piece else clause
        if fits(longer):
            piece = longer
            continue
        if len(piece) >= MIN_PIECE_CHARS:
            yield TextPiece(text=piece, pause="comma")
            longer = clause
        words = [longer] if fits(longer) else _split_words(longer, fits, spell)
        for part in words[:-1]:
            yield TextPiece(text=part, pause="none")
        piece = words[-1] if words else ""
    if piece:
        yield TextPiece(text=piece, pause="comma")


def _find_clause_ends(text: str, spell: Spell | None) -> list[int]:
    return [
        found.end()
        for found in _CLAUSE_END.finditer(text)
        if not is_number_split(text[: found.end()], text[found.end() :], spell)
    ]


def _split_words(text: str, fits: Fits, spell: Spell | None) -> list[str]:
    """Split between groups of words that belong together; a longer number is spelled out."""
    groups = list_unbroken_groups(text.split(), spell)
    if spell and any(not fits(group) and _has_symbol(group) for group in groups):
        groups = list_unbroken_groups(spell(text).split(), None)
    parts = [part for group in groups for part in _break_group(group, fits)]
    return list(_fill_pieces(parts, fits))


def _has_symbol(text: str) -> bool:
    return any(sign.isdigit() or sign in "@/:$€£%_" for sign in text)


def _break_group(group: str, fits: Fits) -> Iterator[tuple[str, str]]:
    """Return the largest parts that fit, each with what joins it to the part before."""
    joint = " "
    for word in [group] if fits(group) else group.split():
        for part in _break_word(word, fits):
            yield joint, part
            joint = ""
        joint = " "


def _break_word(word: str, fits: Fits) -> list[str]:
    if fits(word):
        return [word]
    if len(word) == 1:
        raise ValueError(f"The limit is too small for {word!r} alone; allow more tokens.")
    parts = _WORD_PART.findall(word)
    halves = parts if len(parts) > 1 else [word[: len(word) // 2], word[len(word) // 2 :]]
    return [part for half in halves for part in _break_word(half, fits)]


def _fill_pieces(parts: Sequence[tuple[str, str]], fits: Fits) -> Iterator[str]:
    """Fill pieces with parts, and cut where a phrase ends rather than where the room ends."""
    start = 0
    while start < len(parts):
        end, text = start + 1, parts[start][1]
        while end < len(parts) and fits(longer := text + "".join(parts[end])):
            text, end = longer, end + 1
        if end < len(parts):
            end = _choose_cut(parts, start, end)
        yield parts[start][1] + "".join(joint + part for joint, part in parts[start + 1 : end])
        start = end


def _choose_cut(parts: Sequence[tuple[str, str]], start: int, end: int) -> int:
    """Return the best place from the middle of the full piece to its end."""

    def cost(place: int) -> tuple[int, int]:
        before = parts[place - 1][1].rsplit(maxsplit=1)[-1].lower()
        after = parts[place][1].split(maxsplit=1)[0].lower()
        is_phrase = after in _PHRASE_STARTS or before in _NUMBER_PARTS
        rest = sum(len(joint) + len(part) for joint, part in parts[place:])
        return (
            2 * (before in _PHRASE_ENDS or parts[place][0] == "")
            + (not is_phrase)
            + (rest < MIN_PIECE_CHARS),
            -place,
        )

    return min(range(max(start + 1, (start + end + 1) // 2), end + 1), key=cost)


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

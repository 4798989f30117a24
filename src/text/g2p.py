"""Grapheme-to-phoneme conversion: lexicon, morphology, then letter-to-sound."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from text.homographs import HOMOGRAPHS
from text.letter_to_sound import LetterToSound
from text.lexicon import ARPABET
from text.pronunciations import GROUP_PATTERN, list_phonemes

SPACE = "[SPACE]"  # stands between words
PUNCTUATION = (",", ".", "?", "!", ";", ":", "-", "…")
SYMBOLS = ("[STOP]", "[UNK]", SPACE, *PUNCTUATION, *ARPABET)

Phonemes = tuple[str, ...]

# A group of phonemes, a dotted acronym, a word, or a mark; everything else only separates.
_TOKEN_PATTERN = re.compile(
    GROUP_PATTERN + r"|(?:[A-Za-z]\.){2,}|[A-Za-z]+(?:'[A-Za-z]+)*'?|\.\.+|[,.?!;:()…—–]|--+|\s-\s"
)
_MARKS = {"(": ",", ")": ",", "—": "-", "–": "-"}
_MARK_STRENGTHS = "-,;:….!?"  # of marks that follow one another the strongest is kept
_LETTER_NAMES = {
    "a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F",
    "g": "JH IY1", "h": "EY1 CH", "i": "AY1", "j": "JH EY1", "k": "K EY1", "l": "EH1 L",
    "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1", "q": "K Y UW1", "r": "AA1 R",
    "s": "EH1 S", "t": "T IY1", "u": "Y UW1", "v": "V IY1", "w": "D AH1 B AH0 L Y UW0",
    "x": "EH1 K S", "y": "W AY1", "z": "Z IY1",
}  # fmt: skip
_CLITICS = {"'ll": "AH0 L", "'ve": "V", "'re": "R", "'d": "D", "n't": "AH0 N T", "'m": "M"}
_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH", "S", "SH", "CH", "HH"))
_ENDINGS = {
    "ing": "IH0 NG", "ly": "L IY0", "er": "ER0", "ers": "ER0 Z", "ness": "N AH0 S",
    "less": "L AH0 S", "ful": "F AH0 L", "ment": "M AH0 N T", "able": "AH0 B AH0 L",
}  # fmt: skip
_MIN_COMPOUND_PART_LETTERS = 4  # letters of each half of a compound
_MAX_ACRONYM_LETTERS = 5  # capitals that are read letter by letter when no word is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Pronouncer:
    """Convert English words to ARPAbet.

    lexicon: lower-case word -> phonemes.
    """

    lexicon: Mapping[str, str]
    letter_to_sound: LetterToSound
    _cache: dict[str, Phonemes] = field(default_factory=dict, repr=False, compare=False)

    def to_symbols(self, text: str) -> list[str]:
        """Phonemes of the words, SPACE between words, marks right after the word they end."""
        symbols: list[str] = []
        before = ""
        for piece in merge_punctuation(_tokenize(text)):
            if piece in PUNCTUATION:
                symbols.append(piece)
                continue
            if symbols:
                symbols.append(SPACE)
            if piece.startswith("{"):
                symbols += list_phonemes(piece)
                continue
            symbols += self._pronounce_in_context(piece, before)
            before = piece.lower()
        return symbols

    def pronounce(self, word: str) -> Phonemes:
        """Phonemes of one word of letters and apostrophes, in the case it was written in."""
        spoken = self._cache.get(word)
        if spoken is None:
            spoken = self._cache[word] = self._look_up(word)
        return spoken

    def _pronounce_in_context(self, word: str, before: str) -> Phonemes:
        homograph = HOMOGRAPHS.get(word.lower())
        spoken = homograph.get_pronunciation_after(before) if homograph else None
        return tuple(spoken.split()) if spoken else self.pronounce(word)

    def needs_letter_to_sound(self, word: str) -> bool:
        """Return whether the pronunciation of a word is only guessed from its letters."""
        return not self._pronounce_without_guessing(word)

    def _look_up(self, word: str) -> Phonemes:
        letters = word.lower().replace("'", "")
        return self._pronounce_without_guessing(word) or self.letter_to_sound.pronounce(letters)

    def _pronounce_without_guessing(self, word: str) -> Phonemes | None:
        """Look a word up in the lexicon, as an acronym or by its suffixes; None if unknown."""
        lower = word.lower()
        if "." in word or len(word) == 1:
            return self._pronounce_article(lower) if word in ("a", "A") else spell_letters(lower)
        known = self._look_up_lexicon(lower)
        if known is not None:
            return known
        letters = lower.replace("'", "")
        shouted = word.isupper() and len(letters) <= _MAX_ACRONYM_LETTERS
        if shouted or not set(letters) & set("aeiouy"):
            return spell_letters(letters)
        return self._pronounce_possessive(word) or self._pronounce_derived_word(lower)

    def _pronounce_article(self, word: str) -> Phonemes:
        return tuple(self.lexicon.get(word, "AH0").split())

    def _look_up_lexicon(self, word: str) -> Phonemes | None:
        spoken = self.lexicon.get(word)
        return None if spoken is None else tuple(spoken.split())

    def _pronounce_possessive(self, word: str) -> Phonemes | None:
        """Words with something after an apostrophe: dog's, dogs', Anna'll."""
        stem, apostrophe, rest = word.rpartition("'")
        if not apostrophe or not stem:
            return None
        if not rest:
            return self.pronounce(stem)
        if rest.lower() == "s":
            return add_s_ending(self.pronounce(stem))
        clitic = _CLITICS.get("'" + rest.lower())
        return (*self.pronounce(stem), *clitic.split()) if clitic else None

    def _pronounce_derived_word(self, word: str) -> Phonemes | None:
        """Plurals, tenses and common endings of known words, and compounds of two of them."""
        inflected = self._pronounce_s_form(word) or self._pronounce_ed_form(word)
        return inflected or self._pronounce_suffixed(word) or self._pronounce_compound(word)

    def _pronounce_s_form(self, word: str) -> Phonemes | None:
        if not word.endswith("s") or word.endswith("ss"):
            return None
        stems = [word[:-1]]
        if word.endswith("es"):
            stems.append(word[:-2])
        if word.endswith("ies"):
            stems.append(word[:-3] + "y")
        stem = self._first_known(stems)
        return add_s_ending(stem) if stem else None

    def _pronounce_ed_form(self, word: str) -> Phonemes | None:
        if not word.endswith("ed"):
            return None
        stem = self._first_known([word[:-1], *_get_candidate_stems(word[:-2])])
        return add_ed_ending(stem) if stem else None

    def _pronounce_suffixed(self, word: str) -> Phonemes | None:
        for ending, sound in _ENDINGS.items():
            if word.endswith(ending):
                stem = self._first_known(_get_candidate_stems(word[: -len(ending)]))
                if stem:
                    return (*stem, *sound.split())
        return None

    def _pronounce_compound(self, word: str) -> Phonemes | None:
        for cut in range(
            len(word) - _MIN_COMPOUND_PART_LETTERS, _MIN_COMPOUND_PART_LETTERS - 1, -1
        ):
            first, second = self._look_up_lexicon(word[:cut]), self._look_up_lexicon(word[cut:])
            if first and second:
                return (*first, *(phoneme.replace("1", "2") for phoneme in second))
        return None

    def _first_known(self, words: Iterable[str]) -> Phonemes | None:
        known = (self._look_up_lexicon(word) for word in words if len(word) > 2)
        return next((phonemes for phonemes in known if phonemes), None)


def spell_letters(letters: str) -> Phonemes:
    """The names of the letters, one after the other."""
    names = (_LETTER_NAMES.get(letter, "") for letter in letters)
    return tuple(phoneme for name in names for phoneme in name.split())


def add_s_ending(stem: Phonemes) -> Phonemes:
    """The stem with a plural or possessive s."""
    if not stem:
        return ("EH1", "S")
    if stem[-1] in _SIBILANTS:
        return (*stem, "IH0", "Z")
    return (*stem, "S" if stem[-1] in _VOICELESS else "Z")


def add_ed_ending(stem: Phonemes) -> Phonemes:
    """The stem with the ending of the past."""
    if stem[-1] in ("T", "D"):
        return (*stem, "IH0", "D")
    return (*stem, "T" if stem[-1] in _VOICELESS else "D")


def _get_candidate_stems(base: str) -> list[str]:
    """What may stand before an ending: hop(p)ing, mak(e)ing, happi(y)ly."""
    stems = [base, base + "e"]
    if len(base) > 2 and base[-1] == base[-2]:
        stems.append(base[:-1])
    if base.endswith("i"):
        stems.append(base[:-1] + "y")
    return stems


def _tokenize(text: str) -> Iterator[str]:
    """Words and marks in order; brackets count as commas, runs of dots as an ellipsis.

    The last dot of an acronym at the very end ends the sentence too.
    """
    text = text.replace("’", "'").rstrip()
    for match in _TOKEN_PATTERN.finditer(text):
        piece = match.group().strip()
        if piece.startswith(".."):
            yield "…"
        elif set(piece) == {"-"}:
            yield "-"
        else:
            yield _MARKS.get(piece, piece)
            if "." in piece[:-1] and match.end() == len(text):
                yield "."


def merge_punctuation(pieces: Iterable[str]) -> Iterator[str]:
    """Reduce adjacent punctuation to the strongest mark, and drop it before the first word."""
    mark, spoken = "", False
    for piece in pieces:
        if piece in PUNCTUATION:
            mark = max(mark, piece, key=_get_mark_strength)
            continue
        if mark and spoken:
            yield mark
        mark, spoken = "", True
        yield piece
    if mark and spoken:
        yield mark


def _get_mark_strength(mark: str) -> int:
    return _MARK_STRENGTHS.index(mark) if mark else -1

"""The text front ends of the published synthesizers: cleaners, symbols, ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from core.errors import InvalidValueError
from text.g2p import SYMBOLS as PHONEME_SYMBOLS
from text.normalization.tortoise_cleaners import (
    basic_clean,
    expand_abbreviations,
    normalize_numbers,
)
from text.normalization.transliteration import to_published_ascii

PAD, EOS = "_", "~"
SYMBOLS = f"{PAD}{EOS}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!'\"(),-.:;? "
PEEWEE_CHARACTERS = "abcdefghijklmnopqrstuvwxyz1234567890?!, "
SYMBOL_SETS = ("published", "phonemes")
PHONEME_COUNT = len(PHONEME_SYMBOLS) + 1  # 0 is padding, 1 ends a text
_PHONEME_IDS = {symbol: number for number, symbol in enumerate(PHONEME_SYMBOLS, start=1)}
_IDS = {symbol: number for number, symbol in enumerate(SYMBOLS) if symbol not in (PAD, EOS)}
_ARPABET = re.compile(r"(.*?)\{(.+?)\}(.*)", re.DOTALL)


def english_cleaners(text: str) -> str:
    """Clean as published: transliterate, lower-case, numbers and abbreviations in words."""
    text = normalize_numbers(to_published_ascii(text).lower())
    return collapse_spaces(expand_abbreviations(text))


def transliteration_cleaners(text: str) -> str:
    """Transliterate, lower-case, collapse white space."""
    return collapse_spaces(to_published_ascii(text).lower())


def collapse_spaces(text: str) -> str:
    return re.sub(r"\s+", " ", text)


CLEANERS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "english_cleaners": english_cleaners,
        "basic_cleaners": basic_clean,
        "transliteration_cleaners": transliteration_cleaners,
    }
)


def text_to_ids(text: str, cleaner: str = "english_cleaners") -> list[int]:
    """Return the ids of the published 66 symbols, with the end symbol.

    Characters without a symbol are dropped. Text in braces is ARPAbet, which the published symbols
    lack, so it is dropped as well. Raises KeyError for an unknown cleaner.
    """
    clean = CLEANERS[cleaner]
    ids: list[int] = []
    while text:
        found = _ARPABET.match(text)
        if found is None:
            ids += _lookup(clean(text))
            break
        ids += _lookup(clean(found[1]))
        text = found[3]
    return [*ids, SYMBOLS.index(EOS)]


def phonemes_to_ids(symbols: Iterable[str]) -> list[int]:
    """Return the ids of symbols of `text.g2p`, with the end symbol. Others become [UNK]."""
    unknown, end = _PHONEME_IDS["[UNK]"], _PHONEME_IDS["[STOP]"]
    return [*(_PHONEME_IDS.get(symbol, unknown) for symbol in symbols), end]


def read_training_text(text: str, symbols: str) -> list[int]:
    """Return the ids of a text of a dataset.

    symbols: one of SYMBOL_SETS; for `phonemes` the text is in braces, `{HH AH0 L OW1 .}`. Raises
    InvalidValueError where it is not.
    """
    if symbols != "phonemes":
        return text_to_ids(text)
    if not (text.startswith("{") and text.endswith("}")):
        raise InvalidValueError(f"{text!r} is not written as phonemes in braces.")
    return phonemes_to_ids(text[1:-1].split())


def ids_to_text(ids: list[int]) -> str:
    """Return the symbols of the ids."""
    return "".join(SYMBOLS[number] for number in ids)


def text_to_peewee_ids(text: str, characters: str = PEEWEE_CHARACTERS) -> list[int]:
    """Return the 1-based index of every lower-cased character; others are dropped."""
    return [characters.index(letter) + 1 for letter in text.lower() if letter in characters]


def _lookup(text: str) -> list[int]:
    return [_IDS[symbol] for symbol in text if symbol in _IDS]

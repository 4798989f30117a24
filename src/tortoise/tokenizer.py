"""Text to the ids that the GPT and CLVP read: published BPE, or phonemes for our own bundles."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from speech.letter_to_sound import LetterToSound
from speech.lexicon import parse_lexicon, parse_pronunciations
from speech.normalize import normalize
from speech.phonemes import Pronouncer

UNKNOWN = 1  # id of whatever the vocabulary lacks


class TokenizerError(ValueError):
    """A tokenizer.json, or a file it names, that cannot be used."""


class Tokenizer(Protocol):
    """What the engine asks of either kind."""

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    def clean(self, text: str) -> str:
        """The text as it is going to be read, in words."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of the cleaned text, without start or stop."""
        ...

    def pieces(self, text: str) -> list[str]:
        """The symbols behind the ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonemeTokenizer:
    """Ids of phonemes, word boundaries and punctuation; the lexicon loads with the first word."""

    symbols: tuple[str, ...]
    load_pronouncer: Callable[[], Pronouncer]
    _ids: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _loaded: list[Pronouncer] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._ids.update({symbol: number for number, symbol in enumerate(self.symbols)})

    @property
    def size(self) -> int:
        """How many symbols there are."""
        return len(self.symbols)

    @property
    def pronouncer(self) -> Pronouncer:
        """The lexicon and its helpers, read when first needed."""
        if not self._loaded:
            self._loaded.append(self.load_pronouncer())
        return self._loaded[0]

    def clean(self, text: str) -> str:
        """The text with numbers, symbols and abbreviations written out."""
        return normalize(text)

    def pieces(self, text: str) -> list[str]:
        """The symbols behind the ids."""
        return self.pronouncer.symbols(self.clean(text))

    def encode(self, text: str) -> list[int]:
        """Ids of the cleaned text, without start or stop."""
        return [self._ids.get(symbol, UNKNOWN) for symbol in self.pieces(text)]


def load_tokenizer(folder: Path, pronunciations: str = "") -> Tokenizer:
    """The tokenizer that a bundle's tokenizer.json describes.

    pronunciations: a user's own list (see parse_pronunciations), which wins over the lexicon.
    """
    described = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return _phoneme_tokenizer(folder, described, pronunciations)


def _phoneme_tokenizer(
    folder: Path, described: Mapping[str, Any], pronunciations: str
) -> PhonemeTokenizer:
    own_words = parse_pronunciations(pronunciations)

    def load_pronouncer() -> Pronouncer:
        lexicon = parse_lexicon(_unpacked(folder / described["lexicon"]))
        table = LetterToSound.from_plain(json.loads(_unpacked(folder / described["letter_to_sound"])))
        return Pronouncer(lexicon=lexicon | own_words, letter_to_sound=table)

    return PhonemeTokenizer(symbols=tuple(described["symbols"]), load_pronouncer=load_pronouncer)


def _unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8")

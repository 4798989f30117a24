"""Tokenizers of the GPT and CLVP: published BPE, or phonemes of our own bundles."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import tokenizers

from core.errors import CodedError
from core.files import parse_json
from text.g2p import SPACE, Pronouncer
from text.letter_to_sound import LetterToSound
from text.lexicon import parse_lexicon
from text.normalization.pipeline import normalize_text
from text.normalization.tortoise_cleaners import clean_for_tortoise

_REDOWNLOAD_HINT = "copy or download the model again."
_PAUSE_MARKS, _SENTENCE_END_MARKS = frozenset(",;:-…"), frozenset(".?!")
UNKNOWN_TOKEN_ID = 1  # id of whatever the vocabulary lacks
FULL, PUBLISHED = "full", "published"
TEXT_CLEANINGS = (FULL, PUBLISHED)
"""Ways to prepare a text for published weights; models of phonemes have only the full one."""


class TokenizerError(CodedError, ValueError):
    """A tokenizer.json, or a file it names, cannot be used."""

    code = "corrupt_weights"


class Tokenizer(Protocol):
    """Interface of both tokenizers."""

    @property
    def size(self) -> int:
        """Return the number of ids."""
        ...

    def clean(self, text: str) -> str:
        """Return the normalized text."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of the cleaned text, without start or stop."""
        ...

    def tokenize(self, text: str) -> list[str]:
        """The symbols behind the ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonemeTokenizer:
    """Ids of phonemes, word boundaries and punctuation; the lexicon is loaded at the first word."""

    symbols: tuple[str, ...]
    load_pronouncer: Callable[[], Pronouncer]
    _ids: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _loaded: list[Pronouncer] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._ids.update({symbol: number for number, symbol in enumerate(self.symbols)})

    @property
    def size(self) -> int:
        """Return the number of symbols."""
        return len(self.symbols)

    @property
    def pronouncer(self) -> Pronouncer:
        """The lexicon and its helpers, read when first needed."""
        if not self._loaded:
            self._loaded.append(self.load_pronouncer())
        return self._loaded[0]

    def clean(self, text: str) -> str:
        """The text with numbers, symbols and abbreviations written out."""
        return normalize_text(text)

    def tokenize(self, text: str) -> list[str]:
        """The symbols behind the ids."""
        return _end_with_sentence_mark(self.pronouncer.to_symbols(self.clean(text)))

    def encode(self, text: str) -> list[int]:
        """Ids of the cleaned text, without start or stop."""
        return [self._ids.get(symbol, UNKNOWN_TOKEN_ID) for symbol in self.tokenize(text)]


def _end_with_sentence_mark(symbols: list[str]) -> list[str]:
    """End with a sentence mark, as all texts of the training do."""
    spoken = symbols[:-1] if symbols and symbols[-1] in _PAUSE_MARKS else symbols
    return spoken if not spoken or spoken[-1] in _SENTENCE_END_MARKS else [*spoken, "."]


@dataclass(frozen=True, slots=True, kw_only=True)
class BpeTokenizer:
    """The byte-pair vocabulary of published weights; a blank is the literal symbol [SPACE]."""

    vocabulary: tokenizers.Tokenizer
    clean: Callable[[str], str] = clean_for_tortoise

    @property
    def size(self) -> int:
        """Return the number of symbols."""
        return int(self.vocabulary.get_vocab_size())

    def tokenize(self, text: str) -> list[str]:
        """The symbols behind the ids; what the vocabulary lacks is [UNK]."""
        return [self._symbol(number) for number in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """Ids of the cleaned text, without start or stop."""
        return list(self.vocabulary.encode(self.clean(text).replace(" ", SPACE)).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text that the ids stand for; unknown characters are lost."""
        symbols = (self._symbol(number) for number in ids if number > UNKNOWN_TOKEN_ID)
        return "".join(symbols).replace(SPACE, " ")

    def _symbol(self, number: int) -> str:
        return self.vocabulary.id_to_token(number) or ""


def with_text_cleaning(tokenizer: Tokenizer, cleaning: str) -> Tokenizer:
    """Return the tokenizer of published weights with another cleaning; others are unchanged.

    cleaning: one of TEXT_CLEANINGS. full: numbers, dates, units and markup are read as for other
    models, then the published cleaning follows; published: that one alone. Raises TokenizerError.
    """
    if cleaning not in TEXT_CLEANINGS:
        raise TokenizerError(
            f"text_cleaning is {cleaning!r}; it must be one of {', '.join(TEXT_CLEANINGS)}."
        )
    if not isinstance(tokenizer, BpeTokenizer):
        return tokenizer
    return replace(tokenizer, clean=_clean_fully if cleaning == FULL else clean_for_tortoise)


def _clean_fully(text: str) -> str:
    return clean_for_tortoise(normalize_text(text))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer that the tokenizer.json of a bundle describes. Raises TokenizerError."""
    path = folder / "tokenizer.json"
    try:
        text = path.read_text("utf-8")
        described = parse_json(text)
    except FileNotFoundError as missing:
        raise TokenizerError(
            f"{path} is missing; it contains the vocabulary of the model; {_REDOWNLOAD_HINT}"
        ) from missing
    except ValueError as broken:
        raise TokenizerError(f"{path} is not JSON ({broken}); {_REDOWNLOAD_HINT}") from broken
    if not isinstance(described, dict):
        raise TokenizerError(f"{path} is not a JSON object; {_REDOWNLOAD_HINT}")
    if described.get("type") == "phonemes":
        return _load_phoneme_tokenizer(folder, described)
    return BpeTokenizer(vocabulary=_load_vocabulary(path, text))


def _load_vocabulary(path: Path, text: str) -> tokenizers.Tokenizer:
    try:
        vocabulary = tokenizers.Tokenizer.from_str(text)
    except Exception as broken:  # the library raises nothing narrower
        raise TokenizerError(
            f"{path} is not a valid vocabulary ({broken}); {_REDOWNLOAD_HINT}"
        ) from broken
    size, highest = vocabulary.get_vocab_size(), max(vocabulary.get_vocab().values(), default=-1)
    if not size or highest >= size:
        raise TokenizerError(
            f"{path} has {size:,} tokens with ids up to {highest:,}; ids count from 0 without "
            f"gaps; {_REDOWNLOAD_HINT}"
        )
    return vocabulary


def _load_phoneme_tokenizer(folder: Path, described: Mapping[str, Any]) -> PhonemeTokenizer:
    try:
        symbols = tuple(described["symbols"])
        lexicon_path = _find_neighbour(folder, described["lexicon"])
        table_path = _find_neighbour(folder, described["letter_to_sound"])
    except (KeyError, TypeError) as broken:
        raise TokenizerError(
            f"{folder / 'tokenizer.json'} lacks symbols, lexicon or letter_to_sound; "
            f"{_REDOWNLOAD_HINT}"
        ) from broken
    if not all(isinstance(symbol, str) for symbol in symbols) or len({*symbols}) < len(symbols):
        raise TokenizerError(
            f"{folder / 'tokenizer.json'} has symbols that are no texts or are there twice; "
            f"{_REDOWNLOAD_HINT}"
        )

    def load_pronouncer() -> Pronouncer:
        lexicon = parse_lexicon(_read_gzip_text(lexicon_path))
        table = LetterToSound.from_dict(parse_json(_read_gzip_text(table_path)))
        return Pronouncer(lexicon=lexicon, letter_to_sound=table)

    return PhonemeTokenizer(symbols=symbols, load_pronouncer=load_pronouncer)


def _find_neighbour(folder: Path, name: str) -> Path:
    """Return the path of a file of the bundle; raises TokenizerError for a path out of it."""
    if not name or Path(name).name != name or "\\" in name:
        raise TokenizerError(
            f"{folder / 'tokenizer.json'} names the file {name!r}; it must lie in the same folder; "
            f"{_REDOWNLOAD_HINT}"
        )
    return folder / name


def _read_gzip_text(path: Path) -> str:
    """The text of a gzip file; raises TokenizerError."""
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error) as broken:
        raise TokenizerError(f"{path} cannot be read ({broken}); {_REDOWNLOAD_HINT}") from broken

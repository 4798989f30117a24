"""How a synthesizer reads a text: letters as published, or phonemes by a lexicon."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sv2tts.text import phonemes_to_ids, text_to_ids
from sv2tts.text_analyzer import read_text
from text.tokenizer import FULL, PhonemeTokenizer, TokenizerError, load_tokenizer


class FrontEnd(Protocol):
    """Text to the ids that a synthesizer reads."""

    def read(self, text: str, cleaning: str = FULL) -> str:
        """Return the text in words."""
        ...

    def to_ids(self, read: str) -> list[int]:
        """Return the ids of a text from `read`, with the end symbol."""
        ...

    def find_symbol(self, read: str, index: int) -> int:
        """Return which symbol the character at this index of a text from `read` belongs to."""
        ...

    def to_training_text(self, text: str) -> str:
        """Return a text as `read_training_text` reads it from a dataset."""
        ...


@dataclass(frozen=True, slots=True)
class LetterFrontEnd:
    """The published symbols."""

    def read(self, text: str, cleaning: str = FULL) -> str:
        return read_text(text, cleaning)

    def to_ids(self, read: str) -> list[int]:
        return text_to_ids(read, "basic_cleaners")

    def find_symbol(self, read: str, index: int) -> int:
        return index

    def to_training_text(self, text: str) -> str:
        return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class PhonemeFrontEnd:
    """Phonemes of the lexicon of a model; there is one way to clean a text."""

    tokenizer: PhonemeTokenizer

    def read(self, text: str, cleaning: str = FULL) -> str:
        return self.tokenizer.clean(text)

    def to_ids(self, read: str) -> list[int]:
        return phonemes_to_ids(self.tokenizer.tokenize(read))

    def find_symbol(self, read: str, index: int) -> int:
        return len(self.tokenizer.pronouncer.to_symbols(read[:index]))

    def to_training_text(self, text: str) -> str:
        return "{" + " ".join(self.tokenizer.tokenize(self.read(text))) + "}"


def load_front_end(folder: Path, symbols: str) -> FrontEnd:
    """Return the front end of a model. Raises TokenizerError without its pronunciation files."""
    if symbols == "published":
        return LetterFrontEnd()
    tokenizer = load_tokenizer(folder)
    if not isinstance(tokenizer, PhonemeTokenizer):
        raise TokenizerError(f"The tokenizer of {folder} has no phonemes. Import the model again.")
    return PhonemeFrontEnd(tokenizer)

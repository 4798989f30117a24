"""The text frontend of SV2TTS for the preview: symbols, limits, what is dropped. Light."""

from __future__ import annotations

from dataclasses import dataclass

from sv2tts.text import SYMBOLS, english_cleaners
from text.normalization.pipeline import normalize_text
from text.tokenizer import FULL

TEXT_LIMIT = 200  # symbols; longer sentences lose the attention


def read_text(text: str, cleaning: str = FULL) -> str:
    """Return the text in words: as published, or with our reading of numbers first."""
    return english_cleaners(normalize_text(text) if cleaning == FULL else text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sv2ttsTextAnalyzer:
    """Counts the symbols of texts as the engine does, and returns their normalized form."""

    text_limit: int = TEXT_LIMIT

    def count_tokens(self, text: str) -> int:
        """Return the number of symbols of the text."""
        return len(read_text(text))

    def normalize(self, text: str) -> str:
        """The text in words, with numbers and short forms spelled out."""
        return read_text(text)

    def find_unknown(self, text: str) -> tuple[str, ...]:
        """Characters that have no symbol; they are dropped."""
        return tuple(dict.fromkeys(sign for sign in read_text(text) if sign not in SYMBOLS))

    def find_guessed(self, text: str) -> tuple[str, ...]:
        """Words whose pronunciation is guessed: none, the network reads letters."""
        return ()

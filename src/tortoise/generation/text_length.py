"""The text frontend of a model: normalization, tokens, limits. Light: opens no network."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engines.model_files import CONFIG_FILE, ModelFileError, read_json
from text.pronunciations import remove_phonemes
from text.tokenizer import (
    FULL,
    PUBLISHED,
    TEXT_CLEANINGS,
    UNKNOWN_TOKEN_ID,
    PhonemeTokenizer,
    Tokenizer,
    load_tokenizer,
    with_text_cleaning,
)
from tortoise.checkpoints.layout import TOKENIZER_FILE

PUBLISHED_TEXT_LIMIT = 400  # as in Conventions, which needs torch; a test holds the two together
TOKEN_CACHE_SIZE = 4096  # texts; while typing, similar ones are requested again
RESERVED_TOKENS = 2  # of the limit: the stop, and one that must stay free

_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TortoiseTextAnalyzer:
    """Counts the tokens of texts as the engine does, and returns their normalized form.

    published: the same with the cleaning of published weights alone; None: this is it.
    """

    text_limit: int
    tokenizer: Tokenizer
    encode: Callable[[str], Sequence[int]]  # the tokenizer's, with a cache
    published: TortoiseTextAnalyzer | None = None

    def with_options(self, options: object) -> TortoiseTextAnalyzer:
        """Return the text frontend for the options of a text."""
        chosen = getattr(options, "text_cleaning", FULL)
        return self.published if chosen == PUBLISHED and self.published else self

    @property
    def reads_phonemes(self) -> bool:
        """Return whether a text may have groups of phonemes, {HH AH0 L OW1}."""
        return isinstance(self.tokenizer, PhonemeTokenizer)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the text."""
        own = len(self.encode(text))
        return max(own, self.published.count_tokens(text)) if self.published else own

    def normalize(self, text: str) -> str:
        """The text in words, with numbers and short forms spelled out."""
        return self.tokenizer.clean(text)

    def find_unknown(self, text: str) -> tuple[str, ...]:
        """Words and signs in it that the weights have no token for, each once; they are lost."""
        words = [
            word
            for word in dict.fromkeys(text.split() if UNKNOWN_TOKEN_ID in self.encode(text) else ())
            if UNKNOWN_TOKEN_ID in self.encode(word)
        ]
        signs = [sign for sign in dict.fromkeys(text) if self._is_dropped(sign)]
        return (*words, *(sign for sign in signs if not any(sign in word for word in words)))

    def find_guessed(self, text: str) -> tuple[str, ...]:
        """Return the words that are not in the lexicon, whose pronunciation is guessed."""
        if not isinstance(self.tokenizer, PhonemeTokenizer):
            return ()
        pronouncer = self.tokenizer.pronouncer
        words = dict.fromkeys(_WORD.findall(remove_phonemes(self.normalize(text))))
        return tuple(word for word in words if pronouncer.needs_letter_to_sound(word))

    def _is_dropped(self, sign: str) -> bool:
        """Return whether a character beyond ASCII, such as an emoji, is left out."""
        is_sign = not sign.isascii() and unicodedata.category(sign)[0] not in "PZC"
        return is_sign and not self.normalize(sign).strip()


def count_tokens(tokenizer: Tokenizer, text: str) -> int:
    """Return the number of tokens of a text, with the cleaning that makes more of them."""
    if isinstance(tokenizer, PhonemeTokenizer):
        return len(tokenizer.encode(text))
    ways = (with_text_cleaning(tokenizer, cleaning) for cleaning in TEXT_CLEANINGS)
    return max(len(way.encode(text)) for way in ways)


def load_text_analyzer(folder: Path) -> TortoiseTextAnalyzer:
    """Read how a bundle reads texts; read again only when its files have changed.

    Raises ValueError for files that cannot be used.
    """
    times = []
    for name in (CONFIG_FILE, TOKENIZER_FILE):
        try:
            times.append((folder / name).stat().st_mtime_ns)
        except OSError as missing:
            raise ModelFileError(
                f"{folder} has no {name}, so it is not a complete model.", code="incomplete_weights"
            ) from missing
    return _load_text_analyzer_cached(folder, tuple(times))


@lru_cache(maxsize=4)
def _load_text_analyzer_cached(folder: Path, times: tuple[int, ...]) -> TortoiseTextAnalyzer:
    described = read_json(folder / CONFIG_FILE)
    conventions = described.get("conventions", {}) if isinstance(described, dict) else {}
    limit = 0
    if isinstance(conventions, dict):
        limit = conventions.get("piece_limit") or conventions.get(
            "text_limit", PUBLISHED_TEXT_LIMIT
        )
    if not isinstance(limit, int) or limit <= RESERVED_TOKENS:
        raise ModelFileError(
            f"{folder / CONFIG_FILE} says that texts have at most {limit!r} tokens."
        )
    tokenizer = load_tokenizer(folder)
    room = limit - RESERVED_TOKENS
    published = _make_analyzer(room, with_text_cleaning(tokenizer, PUBLISHED), None)
    if isinstance(tokenizer, PhonemeTokenizer):
        return published
    return _make_analyzer(room, with_text_cleaning(tokenizer, FULL), published)


def _make_analyzer(
    room: int, tokenizer: Tokenizer, published: TortoiseTextAnalyzer | None
) -> TortoiseTextAnalyzer:
    return TortoiseTextAnalyzer(
        text_limit=room,
        tokenizer=tokenizer,
        encode=lru_cache(maxsize=TOKEN_CACHE_SIZE)(tokenizer.encode),
        published=published,
    )

"""A text as a model reads it: normalised, cut into tokens, counted. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.errors import StudioError, refusing
from studio.finetunes import resolve_bundle
from studio.layout import Layout
from studio.weights import existing_bundle
from tortoise.bundle import CONFIG_FILE, TOKENIZER_FILE, BundleError, read_json
from tortoise.tokenizer import UNKNOWN, BpeTokenizer, Tokenizer, TokenizerError, load_tokenizer

LONGEST_TEXT = 20_000
USUAL_LIMIT = 400  # of published weights
RESERVED = 2  # for the marks at both ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One piece of a text. known: whether the model has learnt it."""

    piece: str
    id: int
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A text in tokens.

    spoken: the text as it is read;  limit: the most tokens of one piece;  vocabulary: how many
    tokens the model knows;  strange: the characters that it does not.
    """

    text: str
    spoken: str
    tokens: tuple[Token, ...]
    limit: int
    vocabulary: int
    strange: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the text can be spoken in one piece."""
        return len(self.tokens) <= self.limit


def view_tokens(layout: Layout, bundle: str, text: str) -> TokenView:
    """Cut a text into tokens the way the bundle's own tokenizer does.

    Raises StudioError for a text that is too long and a bundle whose tokenizer cannot be read.
    """
    if len(text) > LONGEST_TEXT:
        raise StudioError(
            f"The text has {len(text):,} characters; at most {LONGEST_TEXT:,} are shown here. "
            "Look at a part of it."
        )
    folder = existing_bundle(layout, resolve_bundle(layout, bundle, ""))
    with refusing(TokenizerError, BundleError, OSError):
        tokenizer = _tokenizer_of(folder)
        ids, pieces = tokenizer.encode(text), tokenizer.pieces(text)
        spoken = tokenizer.clean(text)
        limit = _limit(read_json(folder / CONFIG_FILE))
    tokens = tuple(
        Token(piece=piece, id=number, known=number != UNKNOWN)
        for piece, number in zip(pieces, ids, strict=True)
    )
    return TokenView(
        text=text,
        spoken=spoken,
        tokens=tokens,
        limit=limit,
        vocabulary=tokenizer.size,
        strange=_strange(tokenizer, spoken, tokens),
    )


def _strange(tokenizer: Tokenizer, spoken: str, tokens: tuple[Token, ...]) -> tuple[str, ...]:
    if all(token.known for token in tokens):
        return ()
    if not isinstance(tokenizer, BpeTokenizer):
        return tuple(dict.fromkeys(token.piece for token in tokens if not token.known))
    known = tokenizer.vocabulary.get_vocab()
    return tuple(dict.fromkeys(sign for sign in spoken if sign != " " and sign not in known))


def _limit(config: Any) -> int:  # Any: JSON
    rules = config.get("conventions", {}) if isinstance(config, Mapping) else {}
    limit = rules.get("text_limit", USUAL_LIMIT) if isinstance(rules, Mapping) else USUAL_LIMIT
    return int(limit) - RESERVED


def _tokenizer_of(folder: Path) -> Tokenizer:
    try:
        changed = (folder / TOKENIZER_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        changed = 0  # loading says what is missing
    return _loaded(folder, changed)


@lru_cache(maxsize=4)
def _loaded(folder: Path, changed: int) -> Tokenizer:
    return load_tokenizer(folder)

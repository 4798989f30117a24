"""A text as a model reads it: normalised, cut into tokens, counted. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import AppError, reraise_as_app_error
from core.options import OptionField, list_option_fields
from core.paths import ProjectPaths
from engines.model_files import CONFIG_FILE, ModelFileError, read_json
from studio.model_store.bundles import find_model_folder
from studio.model_store.finetunes import resolve_model_name
from studio.settings.pronunciations import read_pronunciations
from text.pronunciations import apply_pronunciations
from text.tokenizer import (
    FULL,
    UNKNOWN_TOKEN_ID,
    BpeTokenizer,
    PhonemeTokenizer,
    Tokenizer,
    TokenizerError,
    load_tokenizer,
    with_text_cleaning,
)
from tortoise.checkpoints.layout import TOKENIZER_FILE
from tortoise.generation.options import TortoiseOptions

MAX_PREVIEW_CHARS = 20_000
DEFAULT_TOKEN_LIMIT = 400  # of published weights
RESERVED_TOKENS = 2  # for the marks at both ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of a text. known: whether the model was trained on it."""

    piece: str
    id: int
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPreview:
    """A tokenized text.

    spoken: the normalized text; limit: maximum of tokens of one chunk; vocabulary: size of the
    vocabulary; strange: unknown characters.
    """

    text: str
    spoken: str
    tokens: tuple[Token, ...]
    limit: int
    vocabulary: int
    strange: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Return whether the text fits into one chunk."""
        return len(self.tokens) <= self.limit


def preview_tokens(
    layout: ProjectPaths, bundle: str, text: str, options: Mapping[str, Any] | None = None
) -> TokenPreview:
    """Tokenize a text with the tokenizer of the model.

    options: engine options, of which `list_token_options` are used.

    Raises AppError for a text that is too long and a bundle whose tokenizer cannot be read.
    """
    if len(text) > MAX_PREVIEW_CHARS:
        raise AppError(
            f"The text has {len(text):,} characters; at most {MAX_PREVIEW_CHARS:,} can be "
            "shown. Enter a part of it."
        )
    folder = find_model_folder(layout, resolve_model_name(layout, bundle, ""))
    with reraise_as_app_error(TokenizerError, ModelFileError, OSError):
        chosen = {"text_cleaning": FULL, **(options or {})}["text_cleaning"]
        tokenizer = with_text_cleaning(_get_tokenizer(folder), chosen)
        words, phonemes = read_pronunciations(layout), isinstance(tokenizer, PhonemeTokenizer)
        said = apply_pronunciations(text, words, phonemes=phonemes)
        ids, pieces = tokenizer.encode(said), tokenizer.tokenize(said)
        spoken = tokenizer.clean(said)
        limit = _read_token_limit(read_json(folder / CONFIG_FILE))
    tokens = tuple(
        Token(piece=piece, id=number, known=number != UNKNOWN_TOKEN_ID)
        for piece, number in zip(pieces, ids, strict=True)
    )
    return TokenPreview(
        text=text,
        spoken=spoken,
        tokens=tokens,
        limit=limit,
        vocabulary=tokenizer.size,
        strange=_find_unknown_chars(tokenizer, spoken, tokens),
    )


def list_token_options() -> list[OptionField]:
    """Return the engine options that change how a text is tokenized."""
    fields = list_option_fields(TortoiseOptions)
    return [field for field in fields if field.name == "text_cleaning"]


def _find_unknown_chars(
    tokenizer: Tokenizer, spoken: str, tokens: tuple[Token, ...]
) -> tuple[str, ...]:
    if all(token.known for token in tokens):
        return ()
    if not isinstance(tokenizer, BpeTokenizer):
        return tuple(dict.fromkeys(token.piece for token in tokens if not token.known))
    known = tokenizer.vocabulary.get_vocab()
    return tuple(dict.fromkeys(sign for sign in spoken if sign != " " and sign not in known))


def _read_token_limit(config: Any) -> int:  # Any: JSON
    rules = config.get("conventions", {}) if isinstance(config, Mapping) else {}
    limit = (
        rules.get("text_limit", DEFAULT_TOKEN_LIMIT)
        if isinstance(rules, Mapping)
        else DEFAULT_TOKEN_LIMIT
    )
    return int(limit) - RESERVED_TOKENS


def _get_tokenizer(folder: Path) -> Tokenizer:
    try:
        changed = (folder / TOKENIZER_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        changed = 0  # loading raises the error
    return _load_cached_tokenizer(folder, changed)


@lru_cache(maxsize=4)
def _load_cached_tokenizer(folder: Path, changed: int) -> Tokenizer:
    return load_tokenizer(folder)

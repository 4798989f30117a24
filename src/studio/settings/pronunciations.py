"""The user's list of pronunciations: one file for the whole studio."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import write_text
from core.paths import ProjectPaths
from text.pronunciations import format_pronunciations, parse_pronunciations

MAX_BYTES = 2_000_000


def read_pronunciations(layout: ProjectPaths) -> Mapping[str, str]:
    """Return word -> respelling or {PH ON EMES}; {} without a list. Raises AppError."""
    path = layout.pronunciations
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AppError(f"{path} is larger than {MAX_BYTES:,} bytes. Shorten it.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as cause:
        raise AppError(f"Cannot read {path}: {cause}. Correct it or delete it.") from cause
    with reraise_as_app_error(ValueError):
        return parse_pronunciations(text)


def write_pronunciations(layout: ProjectPaths, text: str) -> Mapping[str, str]:
    """Check a list and save it; returns its entries. Raises AppError, and nothing is saved then."""
    with reraise_as_app_error(ValueError):
        words = parse_pronunciations(text)
    with translate_write_errors(layout.pronunciations):
        layout.pronunciations.parent.mkdir(parents=True, exist_ok=True)
        write_text(layout.pronunciations, format_pronunciations(words))
    return words

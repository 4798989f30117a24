"""Tags of a voice, the words that it is found by, in its voice.yaml."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core.errors import AppError
from core.paths import find_invisible_character, quote_for_message
from studio.voices.voice_file import read_voice_entries, write_voice_entry

MAX_TAGS = 20
MAX_TAG_CHARS = 40


def parse_tags(words: Iterable[str]) -> tuple[str, ...]:
    """Return tags of texts that commas separate, each tag once in any case.

    Raises AppError for a tag that is too long, has invisible characters, or is one too many.
    """
    found: dict[str, str] = {}
    for part in (part for text in words for part in text.split(",")):
        tag = " ".join(part.split())
        found.setdefault(tag.casefold(), tag)
    tags = tuple(filter(None, found.values()))
    for tag in tags:
        if len(tag) > MAX_TAG_CHARS or find_invisible_character(tag):
            raise AppError(
                f"{quote_for_message(tag)} cannot be a tag; use at most {MAX_TAG_CHARS} visible "
                "characters."
            )
    if len(tags) > MAX_TAGS:
        raise AppError(f"{len(tags)} tags are too many; a voice can have {MAX_TAGS}.")
    return tags


def read_tags(folder: Path) -> tuple[str, ...]:
    """Return the tags of the folder of a voice; none where its file cannot be read."""
    tags = read_voice_entries(folder).get("tags")
    if not isinstance(tags, list):
        return ()
    try:
        return parse_tags(tag for tag in tags if isinstance(tag, str))
    except AppError:
        return ()


def write_tags(folder: Path, words: Iterable[str]) -> tuple[str, ...]:
    """Replace the tags of the folder of a voice; return them. Raises AppError as parse_tags."""
    tags = parse_tags(words)
    write_voice_entry(folder, "tags", list(tags))
    return tags

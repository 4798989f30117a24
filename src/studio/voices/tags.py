"""Tags of a voice, the words that it is found by, in the file voice.yaml of its folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import AppError, translate_write_errors
from core.files import write_text
from core.paths import find_invisible_character, quote_for_message
from core.yaml_io import dump_yaml, read_yaml

VOICE_FILE = "voice.yaml"
MAX_TAGS = 20
MAX_TAG_CHARS = 40

# Any: plain data of the file


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
    tags = _read_file(folder).get("tags")
    if not isinstance(tags, list):
        return ()
    try:
        return parse_tags(tag for tag in tags if isinstance(tag, str))
    except AppError:
        return ()


def write_tags(folder: Path, words: Iterable[str]) -> tuple[str, ...]:
    """Replace the tags of the folder of a voice; return them. Raises AppError as parse_tags."""
    tags = parse_tags(words)
    content = {**_read_file(folder), "tags": list(tags)}
    if not tags:
        del content["tags"]
    path = folder / VOICE_FILE
    with translate_write_errors(path):
        if content:
            write_text(path, dump_yaml(content))
        else:
            path.unlink(missing_ok=True)
    return tags


def _read_file(folder: Path) -> dict[str, Any]:
    path = folder / VOICE_FILE
    if not path.is_file():
        return {}
    try:
        content = read_yaml(path)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}

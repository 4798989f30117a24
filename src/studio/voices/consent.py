"""The consent note of a voice: whose voice it is, and why it may be cloned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import copy_file, parse_json, write_text
from core.options import OptionInfo, validate_options
from core.paths import CONSENT_FILE, find_invisible_character, quote_for_message
from core.serialization import from_dict, to_dict
from core.yaml_io import dump_yaml, read_yaml

MAX_TEXT_CHARS = 500
BASES: Mapping[str, str] = MappingProxyType(
    {
        "own": "my own voice",
        "licensed": "licensed, or with the speaker's consent",
        "public-domain": "public domain",
        "synthetic": "no person's voice",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentNote:
    """Why a voice may be cloned.

    speaker: whose voice it is; stated_by: who says so; stated_on: the day, as 2026-01-31.
    """

    basis: Annotated[str, OptionInfo(choices=tuple(BASES), help="Why the voice may be cloned")]
    speaker: str = ""
    stated_by: str = ""
    stated_on: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        validate_options(self)
        for name in ("speaker", "stated_by", "stated_on", "note"):
            text = getattr(self, name)
            if len(text) > MAX_TEXT_CHARS or find_invisible_character(text.replace("\n", " ")):
                raise ValueError(
                    f"{name} is {quote_for_message(text)}; at most {MAX_TEXT_CHARS} visible "
                    "characters are allowed."
                )

    @property
    def summary(self) -> str:
        """The note in a line."""
        parts = [BASES[self.basis], self.speaker, self.stated_by and f"stated by {self.stated_by}"]
        return ", ".join(part for part in [*parts, self.stated_on] if part)


def read_consent(folder: Path) -> ConsentNote | None:
    """Return the consent note of the folder of a voice or model; None without a readable one."""
    path = folder / CONSENT_FILE
    if not path.is_file():
        return None
    try:
        return from_dict(ConsentNote, read_yaml(path))
    except ValueError:
        return None


def write_consent(folder: Path, note: ConsentNote) -> None:
    """Write the consent note of a voice; without a day, today."""
    if not folder.is_dir():
        raise AppError(f"There is no voice {quote_for_message(folder.name)}. Add clips first.")
    today = datetime.now(timezone.utc).astimezone().date().isoformat()
    plain = {**to_dict(note), "stated_on": note.stated_on or today}
    path = folder / CONSENT_FILE
    with translate_write_errors(path):
        write_text(path, dump_yaml({name: value for name, value in plain.items() if value}))


def make_consent(values: Mapping[str, str]) -> ConsentNote:
    """Return a note of what the user stated.

    Raises AppError for an unknown basis, and for a day that is none.
    """
    with reraise_as_app_error(ValueError):
        note = from_dict(ConsentNote, dict(values))
    if note.stated_on:
        try:
            date.fromisoformat(note.stated_on)
        except ValueError:
            raise AppError(
                f"stated_on is {quote_for_message(note.stated_on)}; write the day as 2026-01-31."
            ) from None
    return note


def to_text(note: ConsentNote) -> str:
    """Return the note as JSON, for the metadata of other files."""
    return json.dumps(to_dict(note), ensure_ascii=False)


def parse_consent(text: str) -> ConsentNote | None:
    """Return a note of unknown origin; None for whatever is no note."""
    try:
        return from_dict(ConsentNote, parse_json(text))
    except (ValueError, TypeError):
        return None


def copy_consent(voice: Path, target: Path) -> bool:
    """Copy the consent note of a voice into another folder; return whether there is one."""
    if read_consent(voice) is None:
        return False
    with translate_write_errors(target):
        copy_file(voice / CONSENT_FILE, target / CONSENT_FILE)
    return True

"""Reminders to state the consent note of a voice, each given once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from core.errors import AppError
from core.files import make_private_folder, parse_json, write_json
from core.paths import ProjectPaths, fold_name
from studio.voices.catalog import find_voice, parse_blend

REMINDERS_FILE = "consent_reminders.json"  # in state/: names of voices
MAX_REMINDERS_BYTES = 1_000_000


def take_consent_reminders(layout: ProjectPaths, spoken_by: Iterable[str]) -> list[str]:
    """Return a sentence for each voice without a consent note that had none so far.

    spoken_by: voices and blends, as in a request.
    """
    parts = [part for voice in spoken_by for part in parse_blend(voice) if not part.is_random]
    names = {fold_name(part.voice): part.voice for part in parts}
    lacking = {key: name for key, name in names.items() if _lacks(layout, name)}
    known = _read_known(layout) if lacking else set()
    new = {key: name for key, name in lacking.items() if key not in known}
    if new:
        with suppress(OSError):  # a full disk: it is said again
            make_private_folder(layout.state)
            write_json(layout.state / REMINDERS_FILE, sorted(known | new.keys()))
    return [describe_missing_consent(name) for name in new.values()]


def describe_missing_consent(voice: str) -> str:
    """Return the sentence that asks for the note of a voice."""
    return (
        f"The voice {voice} has no consent note. State whose voice it is and why it may be "
        "cloned, under Settings → Voices."
    )


def _lacks(layout: ProjectPaths, name: str) -> bool:
    with suppress(AppError):
        return find_voice(layout, name).consent is None
    return False


def _read_known(layout: ProjectPaths) -> set[str]:
    path = layout.state / REMINDERS_FILE
    with suppress(OSError, ValueError):
        if path.stat().st_size <= MAX_REMINDERS_BYTES:
            found = parse_json(path.read_bytes())
            names = found if isinstance(found, list) else []
            return {name for name in names if isinstance(name, str)}
    return set()

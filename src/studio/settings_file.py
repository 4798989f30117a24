"""The settings file: read with the line of every mistake, written on purpose and whole.

A file that cannot be used is refused, never overwritten: somebody wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from jobs.plain import PlainError, from_plain, nearest, to_plain
from studio.errors import StudioError, writing_to
from studio.layout import Layout
from studio.settings import Settings

# Any: each setting has its own type.

LARGEST_FILE = 1_000_000  # bytes
SECRETS = {"login": "TESTUDO_LOGIN", "api_key": "TESTUDO_API_KEY"}
SECRET_WORDS = ("login", "password", "secret", "token", "api_key", "apikey", "auth")
HEAD = (
    "# Settings of Testudo: `testudo settings` lists them. The command line wins over this file.\n"
)


def load_settings(layout: Layout) -> Settings:
    """Read settings.yaml (YAML or JSON); without one, the defaults.

    Raises StudioError naming the line for a file that cannot be read, an unknown entry, a wrong
    type or a value out of range.
    """
    return checked(read_stated(layout), layout)


def read_stated(layout: Layout) -> Mapping[str, Any]:
    """Return what the file states, as it stands there; nothing for no file."""
    path = layout.settings_file
    if not path.is_file():
        return {}
    try:
        stated = yaml.safe_load(_read(path))
    except yaml.YAMLError as cause:
        where = getattr(cause, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise StudioError(f"{path} is not YAML{line}. Correct it or delete it.") from cause
    except (RecursionError, ValueError) as cause:
        raise StudioError(f"{path}: {cause}. Correct it or delete it.") from cause
    if stated is None:
        return {}
    if not isinstance(stated, Mapping):
        raise StudioError(f"{path} must be a table of settings, such as `voice: alice`.")
    return {str(key): value for key, value in stated.items()}


def checked(stated: Mapping[str, Any], layout: Layout) -> Settings:
    """Make settings of what a file states, or refuse with the line that is wrong."""
    for name in stated:
        _refuse_secret(name, layout)
        try:
            from_plain(Settings, {**_needed_with(name, stated), name: stated[name]})
        except (ValueError, StudioError) as cause:
            raise _refusal(layout, name, cause) from cause
    try:
        return from_plain(Settings, stated)
    except (ValueError, StudioError) as cause:
        raise _refusal(layout, "", cause) from cause


def change_file(layout: Layout, changes: Mapping[str, Any], unset: Sequence[str] = ()) -> Settings:
    """Write changes into the file beside what it states already, and take entries out of it.

    Raises StudioError, leaving the file as it is, where it, or a change, cannot be used.
    """
    for name in (*changes, *unset):
        check_name(name)
    kept = {name: value for name, value in read_stated(layout).items() if name not in unset}
    checked(kept, layout)  # a mistake of before is told as such, with its line
    return _write(layout, {**kept, **to_plain(changes)})


def check_name(name: str) -> str:
    """Return the name of a setting; refuse one that is none, with the nearest."""
    known = [item.name for item in fields(Settings)]
    if name in known:
        return name
    hint = nearest(name, known) or f" Known are: {', '.join(known)}."
    raise StudioError(f"There is no setting {name!r}.{hint}", cause="bad_request")


def _write(layout: Layout, stated: Mapping[str, Any]) -> Settings:
    try:
        settings = checked(stated, layout)
    except StudioError as refusal:
        told = re.sub(r"^(, line \d+)?: ", "", str(refusal).removeprefix(str(layout.settings_file)))
        raise StudioError(f"Nothing was saved. {told}", cause="bad_request") from refusal
    path = layout.settings_file
    text = yaml.safe_dump(dict(stated), sort_keys=False, allow_unicode=True) if stated else ""
    part = path.with_name(f".{path.name}.part")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(HEAD + text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return settings


def _needed_with(name: str, stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entries without which one entry cannot be judged."""
    beside = {"output_rate": ("format",), "preset": ("engine",)}.get(name, ())
    return {other: stated[other] for other in beside if other in stated}


def _refuse_secret(name: str, layout: Layout) -> None:
    if any(word in name.lower() for word in SECRET_WORDS):
        variable = SECRETS.get(name.lower(), "TESTUDO_LOGIN or TESTUDO_API_KEY")
        raise StudioError(
            f"{layout.settings_file}{_line_of(layout, name)}: {name} is a secret, and this file is "
            f"no place for one. Take it out, and set {variable} in the environment instead.",
            cause="bad_settings",
        )


def _refusal(layout: Layout, name: str, cause: Exception) -> StudioError:
    told = str(cause)
    if isinstance(cause, PlainError):
        told = told.replace("Settings has no setting", "There is no setting")
    return StudioError(
        f"{layout.settings_file}{_line_of(layout, name)}: {told}", cause="bad_settings"
    )


def _line_of(layout: Layout, name: str) -> str:
    """Return ", line N" for an entry that stands in the file."""
    try:
        root = yaml.compose(layout.settings_file.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (yaml.YAMLError, OSError, ValueError):
        return ""
    if not isinstance(root, yaml.MappingNode):
        return ""
    lines = [key.start_mark.line + 1 for key, _ in root.value if key.value == name]
    return f", line {lines[-1]}" if lines else ""


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise StudioError(f"{path} is larger than {LARGEST_FILE:,} bytes; shorten it.")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:
        raise StudioError(f"Cannot read {path}: {cause}. Correct it or delete it.") from cause

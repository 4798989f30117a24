"""Read and write settings.yaml; errors name the line.

An invalid file is refused, never overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from core.errors import AppError, translate_write_errors
from core.files import write_text
from core.paths import ProjectPaths
from core.serialization import from_dict, suggest_similar, to_dict
from studio.schemas.settings import OPTION_TABLES, Settings

# Any: each setting has its own type.

MAX_SETTINGS_BYTES = 1_000_000  # bytes
SECRET_ENV_VARS = {"login": "TESTUDO_LOGIN", "api_key": "TESTUDO_API_KEY"}
SECRET_WORDS = ("login", "password", "secret", "token", "api_key", "apikey", "auth")
FILE_HEADER = (
    "# Settings of Testudo: `testudo settings` lists them. The command line wins over this file.\n"
)


def load_settings(layout: ProjectPaths) -> Settings:
    """Read settings.yaml (YAML or JSON); without one, the defaults.

    Raises AppError naming the line for a file that cannot be read, an unknown entry, a wrong
    type or a value out of range.
    """
    return validate_settings(read_settings_file(layout), layout)


def read_settings_file(layout: ProjectPaths) -> Mapping[str, Any]:
    """Return the entries of the file; {} for no file."""
    path = layout.settings_file
    if not path.is_file():
        return {}
    try:
        text = _read_limited_text(path)
        stated = yaml.safe_load(text)
        _check_repeated_keys(path, yaml.compose(text, yaml.SafeLoader))
    except yaml.YAMLError as cause:
        where = getattr(cause, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise AppError(
            f"{path} is not YAML{line}. Correct it or delete it.", code="bad_settings"
        ) from cause
    except (RecursionError, ValueError) as cause:
        raise AppError(f"{path}: {cause}. Correct it or delete it.", code="bad_settings") from cause
    if stated is None:
        return {}
    if not isinstance(stated, Mapping):
        raise AppError(
            f"{path} must be a table of settings, such as `voice: alice`.", code="bad_settings"
        )
    return {str(key): value for key, value in stated.items()}


def _check_repeated_keys(path: Path, node: yaml.Node | None) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    first_lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in first_lines:
            raise AppError(
                f"{path}, line {line}: {key.value!r} is set in line {first_lines[key.value]} "
                "already. Remove one of the two.",
                code="bad_settings",
            )
        first_lines[str(key.value)] = line
        _check_repeated_keys(path, value)


def validate_settings(stated: Mapping[str, Any], layout: ProjectPaths) -> Settings:
    """Build the settings from the entries of the file, or refuse with the line that is wrong."""
    for name in stated:
        _check_not_secret(name, layout)
        value, related = stated[name], _get_related_entries(name, stated)
        is_table = name in OPTION_TABLES and isinstance(value, Mapping)
        for place, part in [((name, key), {key: value[key]}) for key in value] if is_table else []:
            _check_entry(layout, {**related, name: part}, place)
        _check_entry(layout, {**related, name: value}, (name,))
    try:
        return from_dict(Settings, stated)
    except (ValueError, AppError) as cause:
        raise _make_settings_error(layout, (), cause) from cause


def _check_entry(layout: ProjectPaths, entries: Mapping[str, Any], place: Sequence[str]) -> None:
    try:
        from_dict(Settings, entries)
    except (ValueError, AppError) as cause:
        raise _make_settings_error(layout, place, cause) from cause


def update_settings_file(
    layout: ProjectPaths,
    changes: Mapping[str, Any],
    unset: Sequence[str] = (),
    check: Callable[[Settings], None] = lambda settings: None,
) -> Settings:
    """Change entries of the file, and remove those in `unset`.

    check: a further check of the new settings.
    Raises AppError, without changing the file, where it or a change is invalid.
    """
    for name in (*changes, *unset):
        check_setting_name(name)
    kept = {name: value for name, value in read_settings_file(layout).items() if name not in unset}
    validate_settings(kept, layout)  # report an earlier mistake as such, with its line
    return _write_settings(layout, {**kept, **to_dict(changes)}, check)


def check_setting_name(name: str) -> str:
    """Return the name of a setting; refuse an unknown one, naming the nearest."""
    known = [item.name for item in fields(Settings)]
    if name in known:
        return name
    hint = suggest_similar(name, known) or f" Known are: {', '.join(known)}."
    raise AppError(f"There is no setting {name!r}.{hint}", code="bad_request")


def _write_settings(
    layout: ProjectPaths, stated: Mapping[str, Any], check: Callable[[Settings], None]
) -> Settings:
    try:
        settings = validate_settings(stated, layout)
        check(settings)
    except AppError as refusal:
        message = re.sub(
            r"^(, line \d+)?: ", "", str(refusal).removeprefix(str(layout.settings_file))
        )
        raise AppError(f"Nothing was saved. {message}", code="bad_request") from refusal
    path = layout.settings_file
    text = yaml.safe_dump(dict(stated), sort_keys=False, allow_unicode=True) if stated else ""
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, FILE_HEADER + text)
    return settings


def _get_related_entries(name: str, stated: Mapping[str, Any]) -> Mapping[str, Any]:
    beside = {"output_rate": ("format",), "preset": ("engine",), "options": ("engine",)}
    return {other: stated[other] for other in beside.get(name, ()) if other in stated}


def _check_not_secret(name: str, layout: ProjectPaths) -> None:
    if any(word in name.lower() for word in SECRET_WORDS):
        variable = SECRET_ENV_VARS.get(name.lower(), "TESTUDO_LOGIN or TESTUDO_API_KEY")
        raise AppError(
            f"{layout.settings_file}{_format_line_number(layout, (name,))}: {name} is a secret, "
            f"which does not belong in this file. Remove it, and set the environment variable "
            f"{variable} instead.",
            code="bad_settings",
        )


def _make_settings_error(layout: ProjectPaths, place: Sequence[str], cause: Exception) -> AppError:
    line = _format_line_number(layout, place)
    return AppError(f"{layout.settings_file}{line}: {cause}", code="bad_settings")


def _format_line_number(layout: ProjectPaths, place: Sequence[str]) -> str:
    """Return ", line N" for an entry of the file, named by its keys."""
    try:
        root = yaml.compose(layout.settings_file.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (yaml.YAMLError, OSError, ValueError):
        return ""
    line = 0
    for name in place:
        entries = root.value if isinstance(root, yaml.MappingNode) else []
        found = [(key, value) for key, value in entries if key.value == name]
        if not found:
            break
        key, root = found[-1]
        line = key.start_mark.line + 1
    return f", line {line}" if line else ""


def _read_limited_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_SETTINGS_BYTES:
            raise AppError(
                f"{path} is larger than {MAX_SETTINGS_BYTES:,} bytes; shorten it.",
                code="bad_settings",
            )
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:
        raise AppError(
            f"Cannot read {path}: {cause}. Correct it or delete it.", code="bad_settings"
        ) from cause

"""testudo settings: what is set, where it comes from, and how it is changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from engines.knobs import KnobField
from studio.cli_flags import Parser
from studio.cli_output import say, say_json
from studio.errors import StudioError
from studio.layout import open_layout, shown
from studio.setting_sources import Effective, effective_settings
from studio.settings import fields_of_settings
from studio.settings_file import change_file, check_name

TRUTHS = {"true": True, "on": True, "yes": True, "1": True}
LIES = {"false": False, "off": False, "no": False, "0": False}


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `settings` to the program."""
    parser = commands.add_parser("settings", help="show and change the settings")
    parser.set_defaults(run=run_show)
    parser.add_argument("--json", action="store_true", help="print JSON")
    actions = parser.add_subparsers(title="actions", metavar="ACTION")

    show = actions.add_parser("show", help="list all settings and where each comes from")
    show.set_defaults(run=run_show)

    change = actions.add_parser("set", help="save one setting")
    change.add_argument("name", help="as `testudo settings` lists it")
    change.add_argument("value")
    change.set_defaults(run=run_set)

    forget = actions.add_parser("unset", help="go back to the default")
    forget.add_argument("name")
    forget.set_defaults(run=run_unset)

    path = actions.add_parser("path", help="say where the file is")
    path.set_defaults(run=run_path)
    for action in (show, change, forget, path):
        action.add_argument(  # left alone where it is not said, as in settings --json show
            "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON"
        )


def run_show(parsed: argparse.Namespace) -> int:
    """List every setting: its value, where it comes from, and what it is."""
    held = effective_settings(open_layout())
    if parsed.json:
        say_json([_entry(held, item.name) for item in fields_of_settings()])
        return 0
    rows = [_row(held, item.name) for item in fields_of_settings()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row, item in zip(rows, fields_of_settings(), strict=True):
        told = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        say(f"{told}  {item.field.knob.help}")
    return 0


def run_set(parsed: argparse.Namespace) -> int:
    """Save one setting; refuse what it cannot be."""
    layout = open_layout()
    name = check_name(parsed.name)
    change_file(layout, {name: _read(name, parsed.value)})
    return _tell_change(effective_settings(layout), name, parsed.json)


def run_unset(parsed: argparse.Namespace) -> int:
    """Take one setting out of the file."""
    layout = open_layout()
    name = check_name(parsed.name)
    change_file(layout, {}, unset=[name])
    return _tell_change(effective_settings(layout), name, parsed.json)


def run_path(parsed: argparse.Namespace) -> int:
    """Say where the file is, whether or not it is there."""
    path = open_layout().settings_file
    if parsed.json:
        say_json({"path": str(path), "exists": path.is_file()})
    else:
        say(str(path))
    return 0


def _read(name: str, word: str) -> Any:  # Any: the setting's own type
    """Read a word as the kind of value that a setting has; what remains is checked when saved."""
    fields: Mapping[str, KnobField] = {item.name: item.field for item in fields_of_settings()}
    if name not in fields:
        return _table(name, word)
    kind = fields[name].plain_type
    if kind is bool:
        truth = (TRUTHS | LIES).get(word.lower())
        if truth is None:
            raise StudioError(f"{name} is {shown(word)}; it must be true or false.")
        return truth
    try:
        return kind(word)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise StudioError(f"{name} is {shown(word)}; it must be {wanted}.") from None


def _table(name: str, word: str) -> Any:
    try:
        return yaml.safe_load(word)
    except yaml.YAMLError:
        raise StudioError(
            f"{name} is {shown(word)}; it must be a table such as '{{samples: 16}}'."
        ) from None


def _tell_change(held: Effective, name: str, as_json: bool) -> int:
    if as_json:
        say_json(_entry(held, name))
        return 0
    restart = any(item.name == name and item.about.restart for item in fields_of_settings())
    note = " It takes effect at the next start of the studio." if restart else ""
    say(f"{name}: {_told(getattr(held.settings, name))} ({held.source(name)}).{note}")
    return 0


def _entry(held: Effective, name: str) -> dict[str, Any]:
    return {"name": name, "value": getattr(held.settings, name), "source": held.source(name)}


def _row(held: Effective, name: str) -> tuple[str, str, str]:
    return name, _told(getattr(held.settings, name)), held.source(name)


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return '""' if value == "" else str(value)

"""testudo settings: what is set, where it comes from, and how it is changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from cli.options import Parser
from cli.output import print_json, print_line
from core.errors import AppError
from core.options import OptionField
from core.paths import get_project_paths, quote_for_message
from studio.schemas.settings import list_setting_fields
from studio.settings.sources import ResolvedSettings, resolve_settings
from studio.settings.store import check_setting_name, update_settings_file

TRUE_WORDS = {"true": True, "on": True, "yes": True, "1": True}
FALSE_WORDS = {"false": False, "off": False, "no": False, "0": False}


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
    held = resolve_settings(get_project_paths())
    if parsed.json:
        print_json([_make_json_entry(held, item.name) for item in list_setting_fields()])
        return 0
    rows = [_format_row(held, item.name) for item in list_setting_fields()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row, item in zip(rows, list_setting_fields(), strict=True):
        told = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print_line(f"{told}  {item.field.info.help}")
    return 0


def run_set(parsed: argparse.Namespace) -> int:
    """Save one setting; refuse what it cannot be."""
    layout = get_project_paths()
    name = check_setting_name(parsed.name)
    update_settings_file(layout, {name: _parse_value(name, parsed.value)})
    return _print_change(resolve_settings(layout), name, parsed.json)


def run_unset(parsed: argparse.Namespace) -> int:
    """Take one setting out of the file."""
    layout = get_project_paths()
    name = check_setting_name(parsed.name)
    update_settings_file(layout, {}, unset=[name])
    return _print_change(resolve_settings(layout), name, parsed.json)


def run_path(parsed: argparse.Namespace) -> int:
    """Say where the file is, whether or not it is there."""
    path = get_project_paths().settings_file
    if parsed.json:
        print_json({"path": str(path), "exists": path.is_file()})
    else:
        print_line(str(path))
    return 0


def _parse_value(name: str, word: str) -> Any:  # Any: the setting's own type
    """Read a word as the kind of value that a setting has; what remains is checked when saved."""
    fields: Mapping[str, OptionField] = {item.name: item.field for item in list_setting_fields()}
    if name not in fields:
        return _parse_table(name, word)
    kind = fields[name].plain_type
    if kind is bool:
        truth = (TRUE_WORDS | FALSE_WORDS).get(word.lower())
        if truth is None:
            raise AppError(
                f"{name} is {quote_for_message(word)}; it must be true or false.",
                code="bad_request",
            )
        return truth
    try:
        return kind(word)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise AppError(
            f"{name} is {quote_for_message(word)}; it must be {wanted}.", code="bad_request"
        ) from None


def _parse_table(name: str, word: str) -> Any:
    try:
        return yaml.safe_load(word)
    except yaml.YAMLError:
        raise AppError(
            f"{name} is {quote_for_message(word)}; it must be a table such as '{{samples: 16}}'.",
            code="bad_request",
        ) from None


def _print_change(held: ResolvedSettings, name: str, as_json: bool) -> int:
    if as_json:
        print_json(_make_json_entry(held, name))
        return 0
    restart = any(item.name == name and item.ui_info.restart for item in list_setting_fields())
    note = " It takes effect at the next start of the studio." if restart else ""
    print_line(
        f"{name}: {_format_value(getattr(held.settings, name))} ({held.source(name)}).{note}"
    )
    return 0


def _make_json_entry(held: ResolvedSettings, name: str) -> dict[str, Any]:
    return {"name": name, "value": getattr(held.settings, name), "source": held.source(name)}


def _format_row(held: ResolvedSettings, name: str) -> tuple[str, str, str]:
    return name, _format_value(getattr(held.settings, name)), held.source(name)


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return '""' if value == "" else str(value)

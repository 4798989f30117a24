"""testudo settings: show the settings and their sources, change them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import typer
import yaml

from cli.options import JsonFlag, add_command, create_app
from cli.output import emit, print_table
from core.errors import AppError
from core.paths import get_project_paths, quote_for_message
from studio.app.setting_checks import check_changed_settings
from studio.schemas.settings import list_setting_fields
from studio.settings.sources import ResolvedSettings, resolve_settings
from studio.settings.store import check_setting_name, update_settings_file

BOOLEANS = {"true": True, "on": True, "yes": True, "1": True,
            "false": False, "off": False, "no": False, "0": False}  # fmt: skip
NameArgument = Annotated[str, typer.Argument(help="Setting, as listed by `testudo settings`.")]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `settings` to the program."""
    group = create_app(help)
    group.callback(invoke_without_command=True)(run_default)
    add_command(group, "show", "list all settings and their sources")(run_show)
    add_command(group, "set", "save one setting")(run_set)
    add_command(group, "unset", "reset one setting to its default")(run_unset)
    add_command(group, "path", "print the path of the settings file")(run_path)
    app.add_typer(group, name=name, help=help)


def run_default(context: typer.Context, as_json: JsonFlag = False) -> int:
    context.obj = as_json  # `settings --json show` is the same as `settings show --json`
    return 0 if context.invoked_subcommand else run_show(context, as_json)


def run_show(context: typer.Context, as_json: JsonFlag = False) -> int:
    resolved, settings = resolve_settings(get_project_paths()), list_setting_fields()
    if as_json or context.obj:
        return emit([_to_plain(resolved, item.name) for item in settings], "", True)
    rows = [
        (
            item.name,
            _format_value(getattr(resolved.settings, item.name)),
            resolved.source(item.name),
            item.field.info.help,
        )
        for item in settings
    ]
    print_table(["setting", "value", "source", "meaning"], rows)
    return 0


def run_set(
    context: typer.Context,
    name: NameArgument,
    value: Annotated[str, typer.Argument()],
    as_json: JsonFlag = False,
) -> int:
    layout = get_project_paths()
    changes = {check_setting_name(name): _parse_value(name, value)}
    check = partial(check_changed_settings, layout, changed=changes)
    update_settings_file(layout, changes, check=check)
    return _emit_change(resolve_settings(layout), name, as_json or context.obj)


def run_unset(context: typer.Context, name: NameArgument, as_json: JsonFlag = False) -> int:
    layout = get_project_paths()
    update_settings_file(layout, {}, unset=[check_setting_name(name)])
    return _emit_change(resolve_settings(layout), name, as_json or context.obj)


def run_path(context: typer.Context, as_json: JsonFlag = False) -> int:
    path = get_project_paths().settings_file
    return emit({"path": str(path), "exists": path.is_file()}, str(path), as_json or context.obj)


def _parse_value(name: str, word: str) -> Any:  # Any: the setting's own type
    types = {item.name: item.field.plain_type for item in list_setting_fields()}
    kind = types.get(name)
    try:
        if kind is None:
            expected = "a table such as '{samples: 16}'"
            return yaml.safe_load(word)
        if kind is bool:
            expected = "true or false"
            return BOOLEANS[word.lower()]
        expected = "a whole number" if kind is int else "a number"
        return kind(word)
    except (ValueError, KeyError, yaml.YAMLError):
        raise AppError(
            f"{name} is {quote_for_message(word)}; it must be {expected}.", code="bad_request"
        ) from None


def _emit_change(resolved: ResolvedSettings, name: str, as_json: bool) -> int:
    restart = any(item.name == name and item.ui_info.restart for item in list_setting_fields())
    note = " It takes effect at the next start of the studio." if restart else ""
    value = _format_value(getattr(resolved.settings, name))
    text = f"{name}: {value} ({resolved.source(name)}).{note}"
    return emit(_to_plain(resolved, name), text, as_json)


def _to_plain(resolved: ResolvedSettings, name: str) -> dict[str, Any]:
    value = getattr(resolved.settings, name)
    return {"name": name, "value": value, "source": resolved.source(name)}


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return '""' if value == "" else str(value)

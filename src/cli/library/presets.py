"""testudo presets: presets of one's own; `testudo speak --preset NAME` uses one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import emit
from core.errors import AppError, translate_write_errors
from core.files import write_text
from core.formatting import format_count
from core.paths import get_project_paths, parse_path
from core.serialization import to_dict
from studio.settings.presets import (
    delete_preset,
    export_presets,
    import_presets,
    read_presets,
    set_voice_preset,
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", parser=parse_path)]
NameArgument = Annotated[str, typer.Argument(help="Name of the preset.")]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `presets` to the program."""
    group = create_app(help)
    add_command(group, "list", "list the presets, and the default of each voice")(run_list)
    add_command(group, "export", "write presets into a file for others")(run_export)
    add_command(group, "import", "add the presets of a file")(run_import)
    add_command(group, "delete", "delete a preset")(run_delete)
    add_command(group, "default", "use a preset by default for a voice")(run_default)
    app.add_typer(group, name=name, help=help)


def run_list(as_json: JsonFlag = False) -> int:
    file = read_presets(get_project_paths())
    lines = [
        f"{name}: {', '.join(f'{key} {value}' for key, value in preset.options.items())}"
        for name, preset in file.presets.items()
    ]
    lines += [f"default of {voice}: {name}" for voice, name in file.voices.items()]
    return emit(to_dict(file), lines or ["No presets yet."], as_json)


def run_export(
    file: FileArgument,
    names: Annotated[
        list[str] | None, typer.Argument(help="Presets; all if none is given.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    text = export_presets(get_project_paths(), names or ())
    with translate_write_errors(file):
        write_text(file, text)
    return emit({"path": str(file)}, str(file), as_json)


def run_import(file: FileArgument, as_json: JsonFlag = False) -> int:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:
        raise AppError(f"Cannot read {file}: {cause}.") from cause
    names = import_presets(get_project_paths(), text)
    told = f"{format_count(len(names), 'preset')} added: {', '.join(names)}."
    return emit({"added": names}, told, as_json)


def run_delete(name: NameArgument, as_json: JsonFlag = False) -> int:
    delete_preset(get_project_paths(), name)
    return emit({"deleted": name}, f"{name} deleted.", as_json)


def run_default(
    voice: Annotated[str, typer.Argument(help="The voice.")],
    name: Annotated[str, typer.Argument(help="Name of the preset; none if it is not given.")] = "",
    as_json: JsonFlag = False,
) -> int:
    set_voice_preset(get_project_paths(), voice, name)
    told = f"{voice} uses {name}." if name else f"{voice} has no preset."
    return emit({"voice": voice, "preset": name}, told, as_json)

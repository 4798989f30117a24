"""testudo projects: clips of several lines, by name; export and import as one file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_table
from core.errors import translate_write_errors
from core.formatting import format_timestamp
from core.paths import get_project_paths, parse_path
from core.serialization import to_dict
from studio.history.service import History
from studio.projects.archive import export_project, import_project
from studio.projects.store import find_project, list_projects, rename_project

ProjectArgument = Annotated[
    str, typer.Argument(metavar="PROJECT", help="Name of a project, or its clip: voice/name.wav")
]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `projects` to the program."""
    group = create_app(help)
    add_command(group, "list", "list the projects, the newest first")(run_list)
    add_command(group, "rename", "give a project another name")(run_rename)
    add_command(group, "export", "write a project into one file")(run_export)
    add_command(group, "import", "add the project of a file")(run_import)
    app.add_typer(group, name=name, help=help)


def run_list(as_json: JsonFlag = False) -> int:
    projects = list_projects(_open_history(as_json))
    if as_json or not projects:
        return emit(to_dict(projects), ["No projects yet."], as_json)
    rows = [
        (one.name, str(one.lines), one.voice, format_timestamp(one.changed), one.ref)
        for one in projects
    ]
    print_table(("name", "lines", "voice", "changed", "clip"), rows)
    return 0


def run_rename(
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(help="The new name.")],
    as_json: JsonFlag = False,
) -> int:
    history = _open_history(as_json)
    found = find_project(history, project)
    name = rename_project(history.layout, found.ref, name)
    return emit({"ref": found.ref, "name": name}, [f"{found.ref} is named {name}."], as_json)


def run_export(
    project: ProjectArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", parser=parse_path, help="The zip file.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    history = _open_history(as_json)
    layout = history.layout
    path = export_project(layout, find_project(history, project), layout.exports)
    if out is not None:
        with translate_write_errors(out):
            shutil.move(path, out)
    return emit({"path": str(out or path)}, str(out or path), as_json)


def run_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=parse_path)],
    as_json: JsonFlag = False,
) -> int:
    ref = import_project(get_project_paths(), file)
    return emit({"ref": ref}, [f"The project is in {ref}."], as_json)


def _open_history(as_json: bool) -> History:
    history = History.open(get_project_paths())
    history.scan_if_changed(create_reporter(as_json))
    return history

"""testudo backup: the whole studio as one file, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import emit
from core.formatting import format_count
from core.paths import ProjectPaths, get_project_paths
from core.progress import ProgressReporter
from core.serialization import to_dict
from studio.archives.backup import create_backup, restore_backup
from studio.schemas.settings import apply_folders
from studio.settings.store import load_settings

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The zip file.")]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `backup` to the program."""
    group = create_app(help)
    add_command(group, "create", "write settings, voices, finetunes and clips into a zip file")(
        run_create
    )
    add_command(group, "restore", "copy a backup into the studio; existing files are kept")(
        run_restore
    )
    app.add_typer(group, name=name, help=help)


def run_create(file: FileArgument, as_json: JsonFlag = False) -> int:
    count = create_backup(_get_folders(), file, ProgressReporter())
    return emit({"path": str(file), "files": count}, f"{format_count(count, 'file')}: {file}",
                as_json)  # fmt: skip


def run_restore(file: FileArgument, as_json: JsonFlag = False) -> int:
    done = restore_backup(_get_folders(), file, ProgressReporter())
    text = f"{format_count(done.restored, 'file')} restored; {done.kept:,} were there already."
    return emit(to_dict(done), text, as_json)


def _get_folders() -> ProjectPaths:
    layout = get_project_paths()
    return apply_folders(layout, load_settings(layout))

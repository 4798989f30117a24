"""testudo models: list, download, verify and import models."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_line, print_table
from core.errors import AppError
from core.paths import parse_path
from studio.app.studio import Studio
from studio.model_store import bundles
from studio.model_store.bundles import ModelSummary
from studio.model_store.lifecycle import check_online_allowed

PRECISIONS = ("fp32", "fp16", "bf16")
WHISPER_PREFIX = "whisper-"  # of the names of Whisper models

PrecisionOption = Annotated[
    str, typer.Option(metavar="{" + ",".join(PRECISIONS) + "}", help="Precision of stored weights.")
]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `models` to the program."""
    group = create_app(help)
    add_command(group, "list", "list installed models")(run_list)
    add_command(group, "download", "download published models; resumes a download")(run_download)
    add_command(group, "verify", "verify the files of a model, or of all")(run_verify)
    add_command(group, "import", "import a folder of published .pth files")(run_import)
    app.add_typer(group, name=name, help=help)


def run_list(as_json: JsonFlag = False) -> int:
    studio = Studio.open()
    models = bundles.list_models(studio.layout)
    if as_json:
        return emit([_to_plain(model) for model in models], "", True)
    if not models:
        print_line(
            f"There are no models in {studio.layout.models} yet. "
            "`testudo models download tortoise` downloads the published ones."
        )
    print_table(["model", "contents"], [(model.name, _summarize(model)) for model in models])
    return 0


def run_download(
    name: Annotated[
        str, typer.Argument(help="tortoise, or whisper-base, whisper-turbo, …")
    ] = "tortoise",
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="Optional part: bigvgan, hifigan, …; repeatable."),
    ] = None,
    precision: PrecisionOption = "fp32",
    as_json: JsonFlag = False,
) -> int:
    _check_precision(precision)
    studio = Studio.open()
    check_online_allowed(studio.settings.offline)
    report, mirror = create_reporter(as_json), studio.settings.mirror
    if name.startswith(WHISPER_PREFIX) or "/" in name:
        tasks = import_module("studio.workers.model_tasks")  # imports torch
        path = tasks.download_whisper(
            studio.layout, name.removeprefix(WHISPER_PREFIX), report, mirror
        )
        return emit({"name": name, "path": path}, f"{name} is installed: {path}", as_json)
    made = bundles.download_published_model(
        studio.layout, name, report, also or [], precision, mirror
    )
    return _emit_model(made, as_json)


def run_verify(
    name: Annotated[str, typer.Argument(help="The model; all if none is given.")] = "",
    as_json: JsonFlag = False,
) -> int:
    """Return 2 where something is wrong."""
    layout = Studio.open().layout
    names = [name] if name else [model.name for model in bundles.list_models(layout)]
    report = create_reporter(as_json)
    found = [bundles.verify_model_files(layout, one, report) for one in names]
    lines = []
    for model in found:
        lines.append(f"{model.name}: {'good' if model.good else 'not good'}")
        lines += [f"  {check.file}: {check.message or 'good'}" for check in model.checks]
    emit(found, lines, as_json)
    return 0 if all(model.good for model in found) else 2


def run_import(
    folder: Annotated[
        Path, typer.Argument(help="A folder of published .pth or .pt files.", parser=parse_path)
    ],
    name: Annotated[
        str, typer.Option(help="Name of the new model; default tortoise, or rtvc for SV2TTS.")
    ] = "",
    precision: PrecisionOption = "fp32",
    as_json: JsonFlag = False,
) -> int:
    _check_precision(precision)
    layout, report = Studio.open().layout, create_reporter(as_json)
    made = bundles.import_model_folder(layout, folder, report, name, precision)
    return _emit_model(made, as_json)


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise AppError(f"--precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}.")


def _to_plain(model: ModelSummary) -> dict[str, object]:
    names = ("name", "path", "about", "networks", "size", "weights_id", "speaks", "missing",
             "problem")  # fmt: skip
    return {name: getattr(model, name) for name in names}


def _summarize(model: ModelSummary) -> str:
    size = f"{model.size / 1e6:,.0f} MB"
    if model.problem:
        return f"{size}, cannot be used: {model.problem}"
    if model.missing:
        return f"{size}, incomplete: {', '.join(model.missing)} missing"
    return f"{size}, {model.weights_id}, {', '.join(model.networks)}"


def _emit_model(model: ModelSummary, as_json: bool) -> int:
    text = f"{model.path}: {_summarize(model)}. Use it with --model {model.name}."
    return emit(_to_plain(model), text, as_json)

"""testudo models: which weights there are, and how they come in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from cli.options import Parser
from cli.output import create_reporter, print_json, print_line
from studio.app.studio import Studio
from studio.model_store import bundles as weights
from studio.model_store.bundles import ModelSummary
from studio.model_store.lifecycle import check_online_allowed

PRECISIONS = ("fp32", "fp16", "bf16")
WHISPER_PREFIX = "whisper-"  # begins the names of models that listen


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A bundle as listings tell it."""

    name: str
    path: str
    about: str
    networks: tuple[str, ...]
    size: int  # bytes
    weights_id: str
    speaks: bool
    missing: tuple[str, ...]
    problem: str


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `models` to the program."""
    parser = commands.add_parser("models", help="list, download, verify and import weights")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="list the weights that are here")
    listing.set_defaults(run=run_list)

    fetch = actions.add_parser("download", help="fetch published weights; goes on where it stopped")
    fetch.add_argument("name", nargs="?", default="tortoise",
                       help="tortoise, or whisper-base, whisper-turbo, …")  # fmt: skip
    fetch.add_argument("--also", action="append", default=[], metavar="PART",
                       help="an optional part: bigvgan, hifigan, …")  # fmt: skip
    _add_precision(fetch)
    fetch.set_defaults(run=run_download)

    check = actions.add_parser("verify", help="check that weights are whole and fit")
    check.add_argument("name", nargs="?", default="", help="which; all where none is named")
    check.set_defaults(run=run_verify)

    bring = actions.add_parser("import", help="take over a folder of published files")
    bring.add_argument("folder", metavar="FOLDER", help="a folder of published .pth files")
    bring.add_argument("--name", default="tortoise", help="what to call the weights here")
    _add_precision(bring)
    bring.set_defaults(run=run_import)

    for action in (listing, fetch, check, bring):
        action.add_argument("--json", action="store_true", help="print JSON")


def run_list(parsed: argparse.Namespace) -> int:
    """List the bundles under models/."""
    studio = Studio.open()
    models = [to_listed_model(bundle) for bundle in weights.list_models(studio.layout)]
    if parsed.json:
        print_json(models)
        return 0
    if not models:
        print_line(f"There are no weights in {studio.layout.models} yet. "
            "`testudo models download tortoise` fetches the published ones.")  # fmt: skip
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        print_line(f"{model.name:{width}}  {format_model_line(model)}")
    return 0


def run_download(parsed: argparse.Namespace) -> int:
    """Fetch published weights."""
    studio = Studio.open()
    check_online_allowed(studio.settings.offline)
    report = create_reporter(parsed.json)
    if parsed.name.startswith(WHISPER_PREFIX) or "/" in parsed.name:
        return _download_whisper(studio, parsed)
    made = weights.download_published_model(
        studio.layout, parsed.name, report, parsed.also, parsed.precision
    )
    _print_new_model(to_listed_model(made), parsed.json)
    return 0


def run_verify(parsed: argparse.Namespace) -> int:
    """Check one bundle, or all; exit code 2 where something is wrong."""
    studio = Studio.open()
    names = [bundle.name for bundle in weights.list_models(studio.layout)]
    wanted = [parsed.name] if parsed.name else names
    found = [
        weights.verify_model_files(studio.layout, name, create_reporter(parsed.json))
        for name in wanted
    ]
    if parsed.json:
        print_json(found)
    else:
        for bundle in found:
            print_line(f"{bundle.name}: {'good' if bundle.good else 'not good'}")
            for check in bundle.checks:
                print_line(f"  {check.file}: {check.message or 'good'}")
    return 0 if all(bundle.good for bundle in found) else 2


def run_import(parsed: argparse.Namespace) -> int:
    """Make a bundle of published files that are already here."""
    studio = Studio.open()
    made = weights.import_model_folder(
        studio.layout,
        Path(parsed.folder),
        create_reporter(parsed.json),
        parsed.name,
        parsed.precision,
    )
    _print_new_model(to_listed_model(made), parsed.json)
    return 0


def to_listed_model(bundle: ModelSummary) -> ListedModel:
    """Return what a listing says of a bundle."""
    return ListedModel(
        name=bundle.name,
        path=str(bundle.path),
        about=bundle.about,
        networks=bundle.networks,
        size=bundle.size,
        weights_id=bundle.weights_id,
        speaks=bundle.speaks,
        missing=bundle.missing,
        problem=bundle.problem,
    )


def format_model_line(model: ListedModel) -> str:
    """Describe a bundle in a line."""
    size = f"{model.size / 1e6:,.0f} MB"
    if model.problem:
        return f"{size}, cannot be used: {model.problem}"
    if model.missing:
        return f"{size}, cannot speak yet: lacks {', '.join(model.missing)}"
    return f"{size}, {model.weights_id}, {', '.join(model.networks)}"


def _download_whisper(studio: Studio, parsed: argparse.Namespace) -> int:
    """Fetch what writes down what is said."""
    task = import_module("studio.workers.model_tasks")  # loads torch
    name = parsed.name.removeprefix(WHISPER_PREFIX)
    path = task.download_whisper(studio.layout, name, create_reporter(parsed.json))
    if parsed.json:
        print_json({"name": parsed.name, "path": path})
    else:
        print_line(f"{parsed.name} is here: {path}")
    return 0


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="how the numbers are stored"
    )


def _print_new_model(model: ListedModel, as_json: bool) -> None:
    if as_json:
        print_json(model)
    else:
        print_line(f"{model.path}: {format_model_line(model)}. Speak with --bundle {model.name}.")

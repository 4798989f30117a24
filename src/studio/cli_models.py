"""testudo models: which weights there are, and how they come in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio import weights
from studio.cli_flags import Parser
from studio.cli_output import reporter, say, say_json
from studio.errors import refusing
from studio.models import refuse_offline
from studio.studio import Studio
from studio.weights import BundleSummary
from training.transcribe.base import TranscribeError

PRECISIONS = ("fp32", "fp16", "bf16")
LISTENS = "whisper-"  # begins the names of models that listen


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
    models = [listed(bundle) for bundle in weights.list_bundles(studio.layout)]
    if parsed.json:
        say_json(models)
        return 0
    if not models:
        say(f"There are no weights in {studio.layout.models} yet. "
            "`testudo models download tortoise` fetches the published ones.")  # fmt: skip
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        say(f"{model.name:{width}}  {told(model)}")
    return 0


def run_download(parsed: argparse.Namespace) -> int:
    """Fetch published weights."""
    studio = Studio.open()
    refuse_offline(studio.settings.offline)
    report = reporter(parsed.json)
    if parsed.name.startswith(LISTENS):
        return _fetch_whisper(studio, parsed)
    made = weights.download(studio.layout, parsed.name, report, parsed.also, parsed.precision)
    _tell_new(listed(made), parsed.json)
    return 0


def run_verify(parsed: argparse.Namespace) -> int:
    """Check one bundle, or all; exit code 2 where something is wrong."""
    studio = Studio.open()
    names = [bundle.name for bundle in weights.list_bundles(studio.layout)]
    wanted = [parsed.name] if parsed.name else names
    found = [weights.verify(studio.layout, name, reporter(parsed.json)) for name in wanted]
    if parsed.json:
        say_json(found)
    else:
        for bundle in found:
            say(f"{bundle.name}: {'good' if bundle.good else 'not good'}")
            for check in bundle.checks:
                say(f"  {check.file}: {check.message or 'good'}")
    return 0 if all(bundle.good for bundle in found) else 2


def run_import(parsed: argparse.Namespace) -> int:
    """Make a bundle of published files that are already here."""
    studio = Studio.open()
    made = weights.import_folder(
        studio.layout, Path(parsed.folder), reporter(parsed.json), parsed.name, parsed.precision
    )
    _tell_new(listed(made), parsed.json)
    return 0


def listed(bundle: BundleSummary) -> ListedModel:
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


def told(model: ListedModel) -> str:
    """Describe a bundle in a line."""
    size = f"{model.size / 1e6:,.0f} MB"
    if model.problem:
        return f"{size}, cannot be used: {model.problem}"
    if model.missing:
        return f"{size}, cannot speak yet: lacks {', '.join(model.missing)}"
    return f"{size}, {model.weights_id}, {', '.join(model.networks)}"


def _fetch_whisper(studio: Studio, parsed: argparse.Namespace) -> int:
    """Fetch what writes down what is said."""
    from training.transcribe.fetch import fetch_whisper  # loads torch

    name = parsed.name.removeprefix(LISTENS)
    with refusing(TranscribeError):
        path = fetch_whisper(name, studio.layout.whisper, reporter(parsed.json))
    if parsed.json:
        say_json({"name": parsed.name, "path": path})
    else:
        say(f"{parsed.name} is here: {path}")
    return 0


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="how the numbers are stored"
    )


def _tell_new(model: ListedModel, as_json: bool) -> None:
    if as_json:
        say_json(model)
    else:
        say(f"{model.path}: {told(model)}. Speak with --bundle {model.name}.")

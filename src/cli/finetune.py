"""testudo finetune: from recordings to a better voice in one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from cli.configure import print_config_report
from cli.options import Parser
from cli.output import create_reporter, print_line
from cli.watch import follow_run
from core.errors import AppError, reraise_as_app_error
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.datasets.service import (
    Datasets,
    PrepareRequest,
    format_dataset_report,
    plan_preparation,
)
from studio.model_store.finetunes import list_run_models
from studio.training_runs import config_service as configuring
from studio.training_runs.config_service import CONFIG_FILE
from studio.training_runs.machine_facts import detect_machine, is_machine_known
from studio.voices.catalog import list_voices


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `finetune` to the program."""
    parser = commands.add_parser(
        "finetune",
        help="make a model of one voice: prepare, configure and train in one go",
        description="Cuts and transcribes the recordings, proposes a configuration, trains, and "
        "shows how it goes. Ctrl-C leaves the training going. Each part can be done alone: "
        "testudo prepare, configure, train.",
    )
    parser.add_argument(
        "what",
        metavar="VOICE|FOLDER",
        help="a voice of the studio, or any folder of recordings of one person",
    )
    parser.add_argument(
        "--name",
        default="",
        help="what to call the dataset; as the voice or folder where none is given",
    )
    parser.add_argument(
        "--bundle", default="", help="the model to begin with; the starter where none is named"
    )
    parser.add_argument("--language", default="en", help="the language of the recordings: en, …")
    parser.add_argument(
        "--transcriber",
        default="auto",
        help="who writes down what is said: auto, given, whisper, faster-whisper or pocketsphinx",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="set a field of the configuration, such as schedule.steps=500",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Prepare, configure, train, follow; 2 where the training would end, or ended, badly."""
    studio = Studio.open()
    request = build_prepare_request(studio, parsed)
    _prepare(studio, request)
    if not _configure(studio, request.dataset_name, parsed):
        return 2
    view = studio.runs.start(request.dataset_name)
    print_line(f"Training {view.dataset}/{view.name}. Ctrl-C leaves it going.")
    code = follow_run(studio.runs, view.dataset, view.name)
    for made in list_run_models(studio.layout, view.dataset, view.name)[:1]:
        print_line(
            f"Speak with it: testudo speak TEXT --voice {quote_for_message(made.voice)} --model "
            f"auto"
        )
    return code


def build_prepare_request(studio: Studio, parsed: argparse.Namespace) -> PrepareRequest:
    """Return what to prepare: a voice of that name, else a folder."""
    voices = {voice.name for voice in list_voices(studio.layout)}
    is_voice = parsed.what in voices
    if not is_voice and not Path(parsed.what).expanduser().is_dir():
        known = ", ".join(sorted(voices)) or "none"
        raise AppError(
            f"{quote_for_message(parsed.what)} is no voice (there: {known}) and no folder of "
            f"recordings.",
            code="missing_voice",
        )
    with reraise_as_app_error(ValueError):
        return PrepareRequest(
            name=parsed.name,
            voice=parsed.what if is_voice else "",
            folder="" if is_voice else parsed.what,
            transcriber=parsed.transcriber,
            language=parsed.language,
        )


def _prepare(studio: Studio, request: PrepareRequest) -> None:
    ready = plan_preparation(studio.layout, request)
    minutes = f"about {ready.seconds / 60:.1f} minutes"
    print_line(f"Preparing {ready.name}: {ready.files} recordings, {minutes}.")
    for remark in ready.remarks:
        print_line(remark)
    task = import_module("studio.workers.prepare_dataset")
    made = task.prepare_from_request(
        studio.layout, studio.settings, request, create_reporter(False)
    )
    print_line(format_dataset_report(Datasets(studio.layout).report(made.name)))
    print_line(made.split)


def _configure(studio: Studio, dataset: str, parsed: argparse.Namespace) -> bool:
    """Make the configuration, unless one is there and nothing else is asked; False: it is bad."""
    layout, device = studio.layout, studio.settings.device
    if not is_machine_known(layout):
        detect_machine(layout)
    changes = configuring.parse_changes(parsed.changes)
    if (layout.dataset(dataset) / CONFIG_FILE).is_file() and not parsed.bundle:
        config, reasons = configuring.load_config(layout, dataset), dict[str, str]()
    else:
        bundle = parsed.bundle or configuring.STARTER_MODEL
        proposal = configuring.propose_config(layout, dataset, bundle, device)
        config, reasons = proposal.config, dict(proposal.reasons)
    seen = configuring.check_config(layout, configuring.apply_changes(config, changes), device)
    print_config_report(
        seen, {key: why for key, why in reasons.items() if key not in changes}, None
    )
    if seen.blocking_findings:
        return False
    configuring.save_config(layout, seen.config)
    return True

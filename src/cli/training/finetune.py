"""testudo finetune: prepare, configure and train in one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import typer

from cli.options import add_command
from cli.output import create_reporter, print_line
from cli.training.configure import ChangesOption, StartModelOption, print_config_report
from cli.training.datasets import ColumnsOption, note_plan
from cli.training.watch import follow_run
from core.errors import AppError, reraise_as_app_error
from core.paths import parse_path, quote_for_message
from studio.app.studio import Studio
from studio.datasets.service import Datasets, PrepareRequest, format_dataset_report
from studio.model_store.finetunes import list_run_models
from studio.training_runs import config_service as configuring
from studio.training_runs.config_service import CONFIG_FILE
from studio.training_runs.machine_facts import detect_machine, is_machine_known
from studio.voices.catalog import list_voices


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneFlags:
    """The arguments of `finetune`."""

    what: Annotated[
        str, typer.Argument(metavar="VOICE|FOLDER", help="Voice, or folder of recordings.")
    ]
    name: Annotated[str, typer.Option(help="Dataset; default the name of the source.")] = ""
    bundle: StartModelOption = ""
    language: Annotated[str, typer.Option(help="Language of the recordings: en, …")] = "en"
    transcriber: Annotated[
        str,
        typer.Option(
            help="Transcriber: auto, given, whisper, faster-whisper or pocketsphinx.",
        ),
    ] = "auto"
    columns: ColumnsOption = ""
    changes: ChangesOption = None


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `finetune` to the program."""
    help_text = (
        f"{help}\n\nSegments and transcribes the recordings, proposes a configuration, trains, and "
        "shows the progress. Ctrl-C does not stop the training. The steps as single commands: "
        "testudo prepare, configure, train."
    )
    add_command(app, name, help_text, short_help=help)(run)


def run(flags: FinetuneFlags) -> int:
    """Return 2 where a finding blocks the training, or the training fails."""
    studio = Studio.open()
    request = _build_prepare_request(studio, flags)
    _prepare(studio, request)
    if not _configure(studio, request.dataset_name, flags):
        return 2
    view = studio.runs.start(request.dataset_name)
    print_line(f"Training {view.dataset}/{view.name}. Ctrl-C does not stop it.")
    for note in view.notes:
        print_line(note)
    code = follow_run(studio.runs, view.dataset, view.name)
    for made in list_run_models(studio.layout, view.dataset, view.name)[:1]:
        voice = quote_for_message(made.voice)
        print_line(f"Try it: testudo speak TEXT --voice {voice} --model auto")
    return code


def _build_prepare_request(studio: Studio, flags: FinetuneFlags) -> PrepareRequest:
    voices = {voice.name for voice in list_voices(studio.layout)}
    is_voice = flags.what in voices
    if not is_voice and not parse_path(flags.what).is_dir():
        known = ", ".join(sorted(voices)) or "none"
        raise AppError(
            f"{quote_for_message(flags.what)} is neither a voice (installed: {known}) nor a "
            "folder of recordings.",
            code="missing_voice",
        )
    with reraise_as_app_error(ValueError):
        return PrepareRequest(
            name=flags.name,
            voice=flags.what if is_voice else "",
            folder="" if is_voice else str(parse_path(flags.what).resolve()),
            transcriber=flags.transcriber,
            columns=flags.columns,
            language=flags.language,
        )


def _prepare(studio: Studio, request: PrepareRequest) -> None:
    report = create_reporter(False)
    plan = note_plan(studio, request, report)
    minutes = f"about {plan.seconds / 60:.1f} minutes"
    print_line(f"Preparing {plan.name}: {plan.files} recordings, {minutes}.")
    task = import_module("studio.workers.datasets.prepare_dataset")
    made = task.prepare_from_request(studio, request, report)
    print_line(format_dataset_report(Datasets(studio.layout).report(made.name)))
    print_line(made.split)


def _configure(studio: Studio, dataset: str, flags: FinetuneFlags) -> bool:
    """Save a configuration, new unless one is there and no model is named; False: it is blocked."""
    layout, device = studio.layout, studio.settings.device
    if not is_machine_known(layout):
        detect_machine(layout)
    changes = configuring.parse_changes(flags.changes or [])
    reasons: dict[str, str] = {}
    if (layout.dataset(dataset) / CONFIG_FILE).is_file() and not flags.bundle:
        config = configuring.load_config(layout, dataset)
    else:
        bundle = flags.bundle or configuring.STARTER_MODEL
        proposal = configuring.propose_config(layout, dataset, bundle, device)
        config, reasons = proposal.config, dict(proposal.reasons)
    checked = configuring.check_config(layout, configuring.apply_changes(config, changes), device)
    proposed = {key: why for key, why in reasons.items() if key not in changes}
    print_config_report(checked, proposed, None)
    if checked.blocking_findings:
        return False
    configuring.save_config(layout, checked.config)
    return True

"""testudo finetune: from recordings to a better voice in one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from studio import configuring
from studio.cli_configure import tell
from studio.cli_flags import Parser
from studio.cli_follow import follow
from studio.cli_output import reporter, say
from studio.configuring_machine import ask_machine, is_known
from studio.datasets import Datasets, PrepareRequest, check_prepare, report_text
from studio.errors import StudioError, refusing
from studio.finetunes import models_of_run
from studio.layout import shown
from studio.studio import Studio
from studio.voices import list_voices
from training.config import CONFIG_FILE


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `finetune` to the program."""
    parser = commands.add_parser(
        "finetune",
        help="make a model of one voice: prepare, configure and train in one go",
        description="Cuts and transcribes the recordings, proposes a configuration, trains, and "
        "shows how it goes. Ctrl-C leaves the training going. Each part can be done alone: "
        "testudo prepare, configure, train.",
    )
    parser.add_argument("what", metavar="VOICE|FOLDER", help="a voice of the studio, or any folder "
                        "of recordings of one person")  # fmt: skip
    parser.add_argument("--name", default="", help="what to call the dataset; as the voice or "
                        "folder where none is given")  # fmt: skip
    parser.add_argument("--bundle", default="", help="the model to begin with; the starter where "
                        "none is named")  # fmt: skip
    parser.add_argument("--language", default="en", help="the language of the recordings: en, …")
    parser.add_argument("--transcriber", default="auto", help="who writes down what is said: auto, "
                        "given, whisper, faster-whisper or pocketsphinx")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes",
                        help="set a field of the configuration, such as "
                        "schedule.steps=500")  # fmt: skip
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Prepare, configure, train, follow; 2 where the training would end, or ended, badly."""
    studio = Studio.open()
    request = request_of(studio, parsed)
    _prepare(studio, request)
    if not _configure(studio, request.called, parsed):
        return 2
    view = studio.runs.start(request.called)
    say(f"Training {view.dataset}/{view.name}. Ctrl-C leaves it going.")
    code = follow(studio.runs, view.dataset, view.name)
    for made in models_of_run(studio.layout, view.dataset, view.name)[:1]:
        say(f"Speak with it: testudo speak TEXT --voice {shown(made.voice)} --model auto")
    return code


def request_of(studio: Studio, parsed: argparse.Namespace) -> PrepareRequest:
    """Return what to prepare: a voice of that name, else a folder."""
    voices = {voice.name for voice in list_voices(studio.layout)}
    is_voice = parsed.what in voices
    if not is_voice and not Path(parsed.what).expanduser().is_dir():
        known = ", ".join(sorted(voices)) or "none"
        raise StudioError(
            f"{shown(parsed.what)} is no voice (there: {known}) and no folder of recordings.",
            cause="missing_voice",
        )
    with refusing(ValueError):
        return PrepareRequest(
            name=parsed.name,
            voice=parsed.what if is_voice else "",
            folder="" if is_voice else parsed.what,
            transcriber=parsed.transcriber,
            language=parsed.language,
        )


def _prepare(studio: Studio, request: PrepareRequest) -> None:
    ready = check_prepare(studio.layout, request)
    minutes = f"about {ready.seconds / 60:.1f} minutes"
    say(f"Preparing {ready.name}: {ready.files} recordings, {minutes}.")
    for remark in ready.remarks:
        say(remark)
    task = import_module("studio.tasks.prepare")
    made = task.prepared(studio.layout, studio.settings, request, reporter(False))
    say(report_text(Datasets(studio.layout).report(made.name)))
    say(made.split)


def _configure(studio: Studio, dataset: str, parsed: argparse.Namespace) -> bool:
    """Make the configuration, unless one is there and nothing else is asked; False: it is bad."""
    layout, device = studio.layout, studio.settings.device
    if not is_known(layout):
        ask_machine(layout)
    changes = configuring.changes_from(parsed.changes)
    if (layout.dataset(dataset) / CONFIG_FILE).is_file() and not parsed.bundle:
        config, reasons = configuring.read(layout, dataset), dict[str, str]()
    else:
        bundle = parsed.bundle or configuring.STARTER
        proposal = configuring.propose(layout, dataset, bundle, device)
        config, reasons = proposal.config, dict(proposal.reasons)
    seen = configuring.examine(layout, configuring.changed(config, changes), device)
    tell(seen, {key: why for key, why in reasons.items() if key not in changes}, None)
    if seen.stops:
        return False
    configuring.save(layout, seen.config)
    return True

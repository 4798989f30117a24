"""testudo benchmark: words right, likeness and speed of a voice on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command
from cli.output import create_reporter, emit
from core.errors import reraise_as_app_error
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.schemas.scorecard import MAX_LINES, MeasureVoiceRequest, Scorecard
from studio.synthesis.request_builder import SpeechRequestInput, build_request

NOT_MEASURED = "not measured"


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `benchmark` to the program."""
    help_text = (
        f"{help}\n\nSpeaks sentences, has them heard by the best speech recognition that is "
        "installed, and compares them with the recordings of the voice. Each figure has its "
        "standard error. The clip stays in the results."
    )
    add_command(app, name, help_text, short_help=help)(run)


def run(
    voice: Annotated[str, typer.Argument(help="A voice.")],
    preset: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    lines: Annotated[
        int, typer.Option(metavar="N", help=f"Sentences to speak, 2 to {MAX_LINES}.")
    ] = 10,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the sentences.")] = 0,
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    given = SpeechRequestInput(
        text="Hello.",
        voice=voice,
        preset=preset,
        options={"seed": seed},
        request_fields={"bundle": model} if model else {},
    )
    with reraise_as_app_error(ValueError):
        speech = build_request(studio.settings, given, studio.layout)
        request = MeasureVoiceRequest(speech=speech, lines=lines)
    task = import_module("studio.workers.measure_voice").measure_voice_task
    card = task(studio, request, create_reporter(as_json))
    return emit(to_dict(card), format_scorecard(card), as_json)


def format_scorecard(card: Scorecard) -> list[str]:
    """Return the lines to print."""
    heard = card.recognizer or "no speech recognition"
    words = f"{card.word_errors} for a word" if card.word_errors else NOT_MEASURED
    return [
        f"voice: {card.voice}, model: {card.model}, {card.lines} sentences, {card.seconds:.1f} s",
        f"word errors: {words} ({heard})",
        f"likeness to the recordings: {card.likeness or NOT_MEASURED}",
        f"computing: {card.seconds_per_second:.2f} s for a second of speech",
        f"clip: {card.clip}",
    ]

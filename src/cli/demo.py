"""testudo demo: clone a voice from one recording with an SV2TTS model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from audio.ffmpeg import play_file
from cli.options import JsonFlag, add_command
from cli.output import create_reporter, emit, print_line
from core.errors import (
    AppError,
    InvalidValueError,
    reraise_as_app_error,
    translate_write_errors,
)
from core.paths import parse_path
from studio.app.studio import Studio
from studio.sv2tts.requests import DemoRequest, DemoResult

WORKER = "studio.workers.sv2tts.demo"
DEFAULT_TEXT = "This is a deep learning sample."
NAME = "demo_output_{number:02d}.wav"

# Any: the demo, whose module imports torch and is imported only here.


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFlags:
    """The arguments of `demo`."""

    reference: Annotated[
        str, typer.Argument(metavar="RECORDING", help="The voice; default: asked for.")
    ] = ""
    text: Annotated[str, typer.Option(help="What to say; default: asked for.")] = ""
    seed: Annotated[int | None, typer.Option(help="Same seed, same result.", min=0)] = None
    cpu: Annotated[bool, typer.Option("--cpu", help="Do not use a GPU.")] = False
    no_sound: Annotated[
        bool, typer.Option("--no-sound", "--no_sound", help="Do not play the result.")
    ] = False
    encoder: Annotated[
        str, typer.Option("--enc-model-fpath", "--enc_model_fpath", "-e", help="encoder.pt")
    ] = ""
    synthesizer: Annotated[
        str, typer.Option("--syn-model-fpath", "--syn_model_fpath", "-s", help="synthesizer.pt")
    ] = ""
    vocoder: Annotated[
        str, typer.Option("--voc-model-fpath", "--voc_model_fpath", "-v", help="vocoder.pt")
    ] = ""
    model: Annotated[str, typer.Option(metavar="NAME", help="An installed model.")] = ""
    out_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the results.", parser=parse_path)
    ] = Path()


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `demo` to the program."""
    add_command(app, name, help)(run_demo)


def run_demo(flags: DemoFlags, as_json: JsonFlag = False) -> int:
    is_dialogue = not (flags.reference and flags.text) and sys.stdin.isatty() and not as_json
    if not flags.reference and not is_dialogue:
        raise AppError("Give a recording of the voice: testudo demo RECORDING --text TEXT")
    with reraise_as_app_error(InvalidValueError):
        request = DemoRequest(
            encoder=flags.encoder,
            synthesizer=flags.synthesizer,
            vocoder=flags.vocoder,
            model=flags.model,
            cpu=flags.cpu,
        )
    with import_module(WORKER).open_demo(Studio.open().layout, request) as demo:
        if is_dialogue:
            return _talk(demo, flags)
        result = _speak(demo, flags, flags.reference, flags.text or DEFAULT_TEXT, as_json)
    return emit(result, _describe(result), as_json)


def _talk(demo: Any, flags: DemoFlags) -> int:
    """Ask for recordings and texts until an empty answer; what fails is told, then asked again."""
    print_line("An empty answer ends the demo.")
    while reference := flags.reference or _ask("Recording of the voice"):
        text = flags.text or _ask("Text")
        if not text:
            break
        try:
            print_line(_describe(_speak(demo, flags, reference, text, False)))
        except AppError as refusal:
            print_line(str(refusal))
        if flags.reference and flags.text:
            break
    return 0


def _ask(question: str) -> str:
    try:
        return input(f"{question}: ").strip()
    except EOFError:
        return ""


def _speak(demo: Any, flags: DemoFlags, reference: str, text: str, as_json: bool) -> DemoResult:
    out = next(
        path
        for number in range(10_000)
        if not (path := flags.out_dir / NAME.format(number=number)).exists()
    )
    with translate_write_errors(flags.out_dir):
        flags.out_dir.mkdir(parents=True, exist_ok=True)
    result: DemoResult = demo.speak(
        parse_path(reference), text, out, flags.seed, create_reporter(as_json)
    )
    if not flags.no_sound and not as_json and not play_file(out):
        print_line("It is not played: ffplay or a sound device is missing.")
    return result


def _describe(result: DemoResult) -> str:
    problems = f"; attention: {', '.join(result.problems)}" if result.problems else ""
    return f"{result.path}: {result.seconds:.1f} s, seed {result.seed}{problems}"

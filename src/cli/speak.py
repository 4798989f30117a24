"""testudo speak: a text, a table of lines, or a clip said again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from cli.options import Parser, add_option_flags, collect_given_options
from cli.output import create_reporter, print_json, print_line
from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.registry import get_options_class
from studio.app.studio import Studio
from studio.schemas.speech import OutputOptions, SpeechRequest, SpeechResult, get_presets
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import LINES_DIR_SUFFIX
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)

SETTING_FLAGS = ("engine", "bundle", "device", "threads", "embed", "sidecar", "embed_latents")


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `speak` to the program; its flags are the knobs of the engine and of the delivery."""
    if "speak" not in arguments:  # the flags below come from imports that other commands can spare
        commands.add_parser("speak", help="say a text in a voice", add_help=False)
        return
    parser = commands.add_parser(
        "speak",
        help="say a text in a voice",
        usage="testudo speak TEXT --voice NAME [--out FILE] [flags]\n"
        "       testudo speak --lines TABLE --out-dir DIR [--voice NAME] [flags]\n"
        "       testudo speak --like FILE [flags]",
        description="Say a text in a voice. Without --out the clip goes to results/<voice>/.",
        allow_abbrev=False,
    )
    _add_input_flags(parser)
    engine = _find_options_class(arguments)
    _add_engine_flags(parser, engine)
    knobs = (list_option_fields(engine), list_option_fields(OutputOptions))
    add_option_flags(parser, "the engine", knobs[0])
    add_option_flags(parser, "the text and the clip", knobs[1])
    parser.set_defaults(run=run, knobs=knobs)


def run(parsed: argparse.Namespace) -> int:
    """Speak what the parsed command line asks for."""
    studio = Studio.open()
    if parsed.lines:
        return _synthesize_batch(studio, parsed)
    if parsed.out_dir:
        raise AppError("--out-dir belongs to --lines. For one clip give --out FILE.")
    wish = _build_request_input(parsed)
    if parsed.like:
        request = build_request_from_metadata(
            studio.settings, read_metadata(Path(parsed.like)), wish
        )
    else:
        request = build_request(studio.settings, wish, studio.layout)
    shown = create_reporter(parsed.quiet or parsed.json)
    if studio.runs.is_training:
        shown.note("A training computes on this machine too, so speaking is slower.")
    _print_result(_synthesize(studio, request, shown), parsed)
    return 0


def _synthesize(studio: Studio, request: SpeechRequest, shown: ProgressReporter) -> SpeechResult:
    """Speak; where that is stopped between two lines, say how it goes on."""
    kept: list[Path] = []

    def hear(event: ProgressEvent) -> None:
        if event.kind == "take":
            kept.append(Path(str(event.data["path"])))
        shown.emit(event)

    try:
        return studio.speak(request, ProgressReporter(hear))
    except (KeyboardInterrupt, Cancelled):
        lines = kept[-1].parent if kept else Path()
        if lines.name.endswith(LINES_DIR_SUFFIX):
            clip = lines.with_name(
                lines.name.removesuffix(LINES_DIR_SUFFIX) + f".{request.delivery.format}"
            )
            shown.note(f"To go on: the same command with --seed {request.seed} --out '{clip}'")
        raise


def _add_input_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to say, and where it goes")
    group.add_argument("text", nargs="?", help="the text; - reads it from standard input")
    group.add_argument("--voice", metavar="NAME", help="a folder under voices/, random, or a blend "
                       "as in alice:0.7+bob:0.3")  # fmt: skip
    group.add_argument("--out", metavar="FILE", help="the clip to write: wav, flac, ogg, opus, mp3")
    group.add_argument("--like", metavar="FILE", help="say it again as this clip was said; other "
                       "flags change what they name")  # fmt: skip
    group.add_argument("--lines", metavar="TABLE", help="speak each row of a CSV: text, and where "
                       "wanted voice, seed, preset, name")  # fmt: skip
    group.add_argument("--out-dir", metavar="DIR", help="where the clips of --lines go")
    group.add_argument("--json", action="store_true", help="print one JSON object")
    group.add_argument("--quiet", action="store_true", help="show no progress, only warnings")


def _add_engine_flags(parser: argparse.ArgumentParser, engine: type[Any]) -> None:
    group = parser.add_argument_group("with what, and what the file keeps")
    group.add_argument("--preset", metavar="NAME", help=", ".join(get_presets(engine)))
    group.add_argument("--engine", metavar="NAME", default=argparse.SUPPRESS)
    group.add_argument(
        "--bundle",
        "--model",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="weights in models/; auto: the best finetune of the voice",
    )
    group.add_argument(
        "--device", metavar="NAME", default=argparse.SUPPRESS, help="auto, cpu, cuda, mps, …"
    )
    group.add_argument("--threads", metavar="N", type=_parse_threads, default=argparse.SUPPRESS)
    for name, help in (
        ("embed", "put the settings into the clip"),
        ("sidecar", "put the settings into a JSON file beside the clip"),
        ("embed-latents", "put the voice into the clip too"),
    ):
        group.add_argument(
            f"--{name}",
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=help,
        )


def _parse_threads(word: str) -> int:
    if not word.isdecimal() or int(word) > 1024:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of threads, 0 to 1024")
    return int(word)


def _find_options_class(arguments: Sequence[str]) -> type[Any]:
    """Return the options class of the engine that the arguments name."""
    named = [after for flag, after in pairwise(arguments) if flag == "--engine"]
    with reraise_as_app_error(ValueError):
        return get_options_class(named[-1] if named else "tortoise")


def _build_request_input(parsed: argparse.Namespace) -> SpeechRequestInput:
    values: Mapping[str, Any] = vars(parsed)
    engine_knobs, delivery_knobs = parsed.knobs
    return SpeechRequestInput(
        text=_read_text(parsed.text),
        voice=parsed.voice,
        preset=parsed.preset,
        out=parsed.out,
        options=collect_given_options(parsed, engine_knobs),
        delivery=collect_given_options(parsed, delivery_knobs),
        request_fields={name: values[name] for name in SETTING_FLAGS if name in values},
    )


def _read_text(word: str | None) -> str | None:
    if word != "-":
        return word
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as cause:
        raise AppError("Standard input is not UTF-8 text. Convert it to UTF-8.") from cause


def _synthesize_batch(studio: Studio, parsed: argparse.Namespace) -> int:
    for flag, value in (("a text", parsed.text), ("--out", parsed.out), ("--like", parsed.like)):
        if value:
            raise AppError(f"--lines does not go with {flag}. Leave one of them out.")
    if not parsed.out_dir:
        raise AppError("--lines needs a folder for its clips: add --out-dir DIR.")
    wish = replace(_build_request_input(parsed), text=None, out=None)
    report = create_reporter(parsed.quiet or parsed.json)
    table = studio.synthesize_batch(Path(parsed.lines), Path(parsed.out_dir), wish, report)
    if parsed.json:
        print_json(table)
    else:
        print_line(f"{table.items}: {table.spoken} spoken, {table.kept} already there, "
            f"{len(table.failed)} failed.")  # fmt: skip
    return 2 if table.failed else 0


def _print_result(spoken: SpeechResult, parsed: argparse.Namespace) -> None:
    if parsed.json:
        print_json(spoken)
        return
    took = sum(spoken.stages.values())
    print_line(f"{spoken.path}: {spoken.seconds:.1f} s, seed {spoken.seed}, spoken in {took:.1f} s")
    for number, take in enumerate(spoken.candidates[1:], start=2):
        print_line(f"{take.path}: candidate {number}")

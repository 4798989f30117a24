"""testudo tokens, check, clean, detect, merge: what the tab Utilities does, for the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cli.options import Parser
from cli.output import create_reporter, print_json, print_line
from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.schemas.clip_tools import CheckResult, DenoiseClipRequest, MergeModelsRequest
from studio.synthesis.token_preview import preview_tokens

RATING_LABELS = {"good": "good", "fair": "fair", "poor": "POOR"}
# Any: modules that import torch and are therefore loaded when they are needed.


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add the commands to the program."""
    tokens = commands.add_parser("tokens", help="show a text as a model reads it")
    tokens.add_argument("text", metavar="TEXT")
    tokens.add_argument("--bundle", help="whose tokenizer; that of the settings if none is named")
    tokens.set_defaults(run=run_tokens)

    check = commands.add_parser("check", help="say whether a clip or a voice is fit to clone from")
    check.add_argument("what", metavar="FILE|VOICE", help="a recording, or the name of a voice")
    check.set_defaults(run=run_check)

    clean = commands.add_parser("clean", help="lower the noise of a recording, into a new file")
    clean.add_argument("file", metavar="FILE")
    clean.add_argument("--out", metavar="FILE", help="where to; FILE-cleaned.wav if not named")
    for field in list_option_fields(DenoiseClipRequest):
        flag = f"--{field.name.replace('_', '-')}"
        if field.plain_type is bool:
            clean.add_argument(
                flag,
                action=argparse.BooleanOptionalAction,
                default=field.default,
                help=field.info.help,
            )
        else:
            clean.add_argument(
                flag,
                type=field.plain_type,
                default=field.default,
                help=f"{field.info.help} (usually {field.default})",
            )
    clean.set_defaults(run=run_clean)

    detect = commands.add_parser("detect", help="ask the classifier whether TorToiSe spoke a clip")
    detect.add_argument("file", metavar="FILE")
    detect.add_argument("--bundle", default="", help="whose classifier; any if none is named")
    detect.set_defaults(run=run_detect)

    merge = commands.add_parser("merge", help="mix two models of one architecture into a new one")
    merge.add_argument("first", metavar="FIRST")
    merge.add_argument("second", metavar="SECOND")
    merge.add_argument("--weight", type=float, default=0.5, help="how much of SECOND: 0 to 1")
    merge.add_argument("--name", required=True, help="the new model becomes finetunes/NAME")
    merge.set_defaults(run=run_merge)

    for command in (tokens, check, clean, detect, merge):
        command.add_argument("--json", action="store_true", help="print one JSON object")


def run_tokens(parsed: argparse.Namespace) -> int:
    """Show a text in tokens."""
    studio = Studio.open()
    view = preview_tokens(studio.layout, parsed.bundle or studio.settings.bundle, parsed.text)
    if parsed.json:
        print_json(view)
        return 0
    print_line(f"read as      {view.spoken}")
    print_line("pieces       " + " ".join(token.piece for token in view.tokens))
    print_line("ids          " + " ".join(str(token.id) for token in view.tokens))
    print_line(
        f"count        {len(view.tokens)} of {view.limit}{'' if view.fits else ', too long'}"
    )
    if view.strange:
        print_line(f"unknown      {' '.join(view.strange)}")
    return 0


def run_check(parsed: argparse.Namespace) -> int:
    """Check a file or a voice; exit code 2 where it is poor."""
    studio, tend = Studio.open(), _load_clip_tools()
    path = Path(parsed.what)
    if path.is_file():
        found: CheckResult = tend.build_check_result(tend.check_audio_file(path))
    else:
        report = create_reporter(parsed.json)
        found = tend.build_check_result(tend.check_voice_clips(studio.layout, parsed.what, report))
    if parsed.json:
        print_json(found)
    else:
        print_line(f"{found.name}: {RATING_LABELS[found.light]}")
        _print_findings(found.findings, "  ")
        for clip in found.clips:
            print_line(f"  {clip['name']}: {RATING_LABELS[clip['light']]}")
            _print_findings([item for item in clip["findings"] if item["light"] != "good"], "    ")
    return 2 if found.light == "poor" else 0


def run_clean(parsed: argparse.Namespace) -> int:
    """Clean a recording into a new file, never over one that is there."""
    studio = Studio.open()
    source = Path(parsed.file)
    target = Path(parsed.out) if parsed.out else source.with_name(f"{source.stem}-cleaned.wav")
    if target.exists():
        raise AppError(f"{target} is there already. Name another file with --out.")
    with reraise_as_app_error(ValueError):
        wish = DenoiseClipRequest(
            clip=str(source),
            method=parsed.method,
            lower_db=parsed.lower_db,
            cut_hz=parsed.cut_hz,
            even_level=parsed.even_level,
        )
    device = studio.settings.voice_fixer_device
    made = _load_clip_tools().denoise_file(
        source,
        target,
        wish,
        device,
        create_reporter(parsed.json),
        can_download=not studio.settings.offline,
    )
    if parsed.json:
        print_json(made)
    else:
        print_line(
            f"{target}: speech {made.noise_db[0]:g} dB above the background before, "
            f"{made.noise_db[1]:g} dB now"
        )
    return 0


def run_detect(parsed: argparse.Namespace) -> int:
    """Ask the classifier about a file."""
    studio = Studio.open()
    path = Path(parsed.file)
    judged = _load_clip_tools().detect_synthetic_speech(
        studio.layout, path, parsed.bundle, create_reporter(parsed.json)
    )
    if parsed.json:
        print_json(judged)
    else:
        print_line(
            f"{path.name}: {judged.likely:.0%} sure that TorToiSe's published weights made it "
            "(a hint, no proof; other programs are not known to it)"
        )
    return 0


def run_merge(parsed: argparse.Namespace) -> int:
    """Mix two models."""
    studio = Studio.open()
    with reraise_as_app_error(ValueError):
        wish = MergeModelsRequest(
            first=parsed.first, second=parsed.second, name=parsed.name, share=parsed.weight
        )
    merge = import_module("studio.workers.merge_models")
    made = merge.merge_two_models(studio.layout, wish, create_reporter(parsed.json))
    if parsed.json:
        print_json(made)
    else:
        print_line(
            f"{made.name}: {made.weights_id}, mixed {', '.join(made.mixed) or 'nothing'}. "
            f"Speak with --bundle {quote_for_message(made.name)}."
        )
    return 0


def _print_findings(findings: Sequence[Any], indent: str) -> None:
    for item in findings:
        measured = f" ({item['measured']})" if item["measured"] else ""
        print_line(
            f"{indent}{RATING_LABELS[item['light']]}  {item['topic']}: {item['words']}{measured}"
        )
        if item["advice"]:
            print_line(f"{indent}      {item['advice']}")


def _load_clip_tools() -> Any:
    return import_module("studio.workers.clip_tools")

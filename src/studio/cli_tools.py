"""testudo tokens, check, clean, detect, merge: what the tab Utilities does, for the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from engines.knobs import knobs_of
from studio.cli_flags import Parser
from studio.cli_output import reporter, say, say_json
from studio.errors import StudioError, refusing
from studio.layout import shown
from studio.studio import Studio
from studio.token_view import view_tokens
from studio.utilities import Checked, CleanClip, MergeModels

SIGNS = {"good": "good", "fair": "fair", "poor": "POOR"}
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
    for field in knobs_of(CleanClip):
        flag = f"--{field.name.replace('_', '-')}"
        if field.plain_type is bool:
            clean.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default,
                               help=field.knob.help)  # fmt: skip
        else:
            clean.add_argument(flag, type=field.plain_type, default=field.default,
                               help=f"{field.knob.help} (usually {field.default})")  # fmt: skip
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
    view = view_tokens(studio.layout, parsed.bundle or studio.settings.bundle, parsed.text)
    if parsed.json:
        say_json(view)
        return 0
    say(f"read as      {view.spoken}")
    say("pieces       " + " ".join(token.piece for token in view.tokens))
    say("ids          " + " ".join(str(token.id) for token in view.tokens))
    say(f"count        {len(view.tokens)} of {view.limit}{'' if view.fits else ', too long'}")
    if view.strange:
        say(f"unknown      {' '.join(view.strange)}")
    return 0


def run_check(parsed: argparse.Namespace) -> int:
    """Check a file or a voice; exit code 2 where it is poor."""
    studio, tend = Studio.open(), _tend()
    path = Path(parsed.what)
    if path.is_file():
        found: Checked = tend.checked(tend.checked_file(path))
    else:
        report = reporter(parsed.json)
        found = tend.checked(tend.checked_voice(studio.layout, parsed.what, report))
    if parsed.json:
        say_json(found)
    else:
        say(f"{found.name}: {SIGNS[found.light]}")
        _say_findings(found.findings, "  ")
        for clip in found.clips:
            say(f"  {clip['name']}: {SIGNS[clip['light']]}")
            _say_findings([item for item in clip["findings"] if item["light"] != "good"], "    ")
    return 2 if found.light == "poor" else 0


def run_clean(parsed: argparse.Namespace) -> int:
    """Clean a recording into a new file, never over one that is there."""
    studio = Studio.open()
    source = Path(parsed.file)
    target = Path(parsed.out) if parsed.out else source.with_name(f"{source.stem}-cleaned.wav")
    if target.exists():
        raise StudioError(f"{target} is there already. Name another file with --out.")
    with refusing(ValueError):
        wish = CleanClip(
            clip=str(source),
            method=parsed.method,
            lower_db=parsed.lower_db,
            cut_hz=parsed.cut_hz,
            even_level=parsed.even_level,
        )
    device = studio.settings.voice_fixer_device
    made = _tend().clean_file(source, target, wish, device, reporter(parsed.json))
    if parsed.json:
        say_json(made)
    else:
        say(f"{target}: speech {made.noise_db[0]:g} dB above the background before, "
            f"{made.noise_db[1]:g} dB now")  # fmt: skip
    return 0


def run_detect(parsed: argparse.Namespace) -> int:
    """Ask the classifier about a file."""
    studio = Studio.open()
    path = Path(parsed.file)
    judged = _tend().judged_file(studio.layout, path, parsed.bundle, reporter(parsed.json))
    if parsed.json:
        say_json(judged)
    else:
        say(f"{path.name}: {judged.likely:.0%} sure that TorToiSe's published weights made it "
            "(a hint, no proof; other programs are not known to it)")  # fmt: skip
    return 0


def run_merge(parsed: argparse.Namespace) -> int:
    """Mix two models."""
    studio = Studio.open()
    with refusing(ValueError):
        wish = MergeModels(
            first=parsed.first, second=parsed.second, name=parsed.name, share=parsed.weight
        )
    merge = import_module("studio.tasks.merge")
    made = merge.merged(studio.layout, wish, reporter(parsed.json))
    if parsed.json:
        say_json(made)
    else:
        say(f"{made.name}: {made.weights_id}, mixed {', '.join(made.mixed) or 'nothing'}. "
            f"Speak with --bundle {shown(made.name)}.")  # fmt: skip
    return 0


def _say_findings(findings: Sequence[Any], indent: str) -> None:
    for item in findings:
        measured = f" ({item['measured']})" if item["measured"] else ""
        say(f"{indent}{SIGNS[item['light']]}  {item['topic']}: {item['words']}{measured}")
        if item["advice"]:
            say(f"{indent}      {item['advice']}")


def _tend() -> Any:
    return import_module("studio.tasks.tend")

"""testudo voices: which there are, and how new ones come in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.options import Parser
from cli.output import create_reporter, print_json, print_line
from studio.app.studio import Studio
from studio.voices.catalog import Voice, list_voices


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVoice:
    """A voice as listings tell it."""

    name: str
    clips: int
    kept: bool
    folder: str


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `voices` to the program."""
    parser = commands.add_parser("voices", help="list the voices, keep or import one")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    keep = actions.add_parser("keep-random", help="keep a made-up voice under a name")
    keep.add_argument("name", metavar="NAME", help="the name of the new voice")
    keep.add_argument("--seed", type=int, metavar="N", help="which one: the number after random#")
    keep.add_argument("--bundle", metavar="NAME", help="weights in models/")
    keep.add_argument("--device", metavar="NAME", help="auto, cpu, cuda, …")
    keep.add_argument("--json", action="store_true", help="print one JSON object")
    keep.set_defaults(run=run_save_random)
    bring = actions.add_parser("import", help="copy clips into a voice, or a voice out of a clip")
    bring.add_argument("name", metavar="NAME", help="the voice, new or not")
    bring.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="recordings of one speaker, or one clip that Testudo spoke with --embed-latents",
    )
    bring.add_argument("--json", action="store_true", help="print one JSON object")
    bring.set_defaults(run=run_import)


def run_list(parsed: argparse.Namespace) -> int:
    """List the voices that can speak."""
    studio = Studio.open()
    voices = [to_listed_voice(voice) for voice in list_voices(studio.layout)]
    if parsed.json:
        print_json(voices)
        return 0
    if not voices:
        print_line(
            f"There are no voices in {studio.layout.voices} yet. A voice is a folder of clips."
        )
    width = max((len(voice.name) for voice in voices), default=0)
    for voice in voices:
        print_line(f"{voice.name:{width}}  {_format_voice_summary(voice)}")
    return 0


def run_save_random(parsed: argparse.Namespace) -> int:
    """Keep a made-up voice."""
    studio = Studio.open()
    kept = studio.create_random_voice(
        parsed.name, parsed.seed, parsed.bundle, parsed.device, create_reporter(parsed.json)
    )
    _print_new_voice(kept, parsed.json)
    return 0


def run_import(parsed: argparse.Namespace) -> int:
    """Bring a voice in."""
    studio = Studio.open()
    files = [Path(name) for name in parsed.files]
    _print_new_voice(
        studio.import_voice(parsed.name, files, create_reporter(parsed.json)), parsed.json
    )
    return 0


def to_listed_voice(voice: Voice) -> ListedVoice:
    """Return what a listing says of a voice."""
    return ListedVoice(
        name=voice.name,
        clips=len(voice.clips),
        kept=voice.latents_path is not None,
        folder=str(voice.folder),
    )


def _format_voice_summary(voice: ListedVoice) -> str:
    if not voice.clips:
        return "kept latents"
    return "1 clip" if voice.clips == 1 else f"{voice.clips} clips"


def _print_new_voice(voice: Voice, as_json: bool) -> None:
    if as_json:
        print_json(to_listed_voice(voice))
    else:
        print_line(
            f"{voice.folder}: {_format_voice_summary(to_listed_voice(voice))}. Speak with "
            f"--voice {voice.name}."
        )

"""testudo voices: list voices, tag them, set their effects, save or import one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from audio.effects.options import EFFECT_PRESETS, EffectOptions
from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_line, print_table
from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import parse_path
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.schemas.clip_tools import merge_effects
from studio.schemas.voices import SaveBlendRequest
from studio.voices.catalog import Voice, find_voice, list_voices, search_voices
from studio.voices.consent import BASES, make_consent, write_consent
from studio.voices.effects import (
    format_chain,
    read_voice_effects,
    to_chain,
    write_voice_effects,
)
from studio.voices.tags import write_tags

NO_CONSENT = (
    "It has no consent note. State whose voice it is and why it may be cloned: "
    "testudo voices consent {} {{" + ",".join(BASES) + "}} --speaker NAME"
)
# Any: values of options of effects
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Voice.")]


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `voices` to the program."""
    group = create_app(help)
    group.callback(invoke_without_command=True)(run_list)
    add_command(group, "keep-random", "save a random voice under a name")(run_save_random)
    add_command(group, "keep-blend", "save a blend of voices under a name")(run_save_blend)
    add_command(group, "tag", "show or set the words that a voice is found by")(run_tag)
    effects = {"options": list_option_fields(EffectOptions)}
    about = "show or set the effects that every clip of a voice has"
    add_command(group, "effects", about, effects)(run_effects)
    add_command(group, "import", "import clips, or the voice embedded in a clip")(run_import)
    add_command(group, "consent", "show or state why a voice may be cloned")(run_consent)
    app.add_typer(group, name=name, help=help)


def run_list(
    context: typer.Context,
    search: Annotated[
        str, typer.Option(metavar="WORDS", help="Only voices with these words in name or tags.")
    ] = "",
    as_json: JsonFlag = False,
) -> int:
    if context.invoked_subcommand:
        return 0
    studio = Studio.open()
    voices = search_voices(list_voices(studio.layout), search)
    if as_json:
        return emit([_to_plain(voice) for voice in voices], "", True)
    if not voices and search:
        print_line(f"No voice has {search} in its name or tags.")
    elif not voices:
        print_line(
            f"There are no voices in {studio.layout.voices} yet. A voice is a folder of clips."
        )
    tags = {voice.name: [", ".join(voice.tags)] for voice in voices}
    shown = any(any(words) for words in tags.values())  # the column
    rows = [
        (voice.name, *(tags[voice.name] if shown else ()), _summarize(voice)) for voice in voices
    ]
    print_table(["voice", *(["tags"] if shown else []), "contents"], rows)
    return 0


def run_save_random(
    name: NameArgument,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the voice: the number after random#.")
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", "--model", metavar="NAME", help="Model, as in models/."),
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, …")] = None,
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    voice = studio.create_random_voice(name, seed, bundle, device, create_reporter(as_json))
    return _emit_voice(voice, as_json)


def run_save_blend(
    name: NameArgument,
    blend: Annotated[
        str, typer.Argument(metavar="BLEND", help="Voices and weights: alice:0.7+bob:0.3.")
    ],
    bundle: Annotated[
        str, typer.Option("--bundle", "--model", metavar="NAME", help="Model, as in models/.")
    ] = "",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, …")] = "",
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    request = SaveBlendRequest(name=name, voice=blend, bundle=bundle, device=device)
    task = import_module("studio.workers.save_voice").save_blend_task
    task(studio, request, create_reporter(as_json))
    return _emit_voice(find_voice(studio.layout, name), as_json)


def run_tag(
    name: NameArgument,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="TAG...", help="Its tags from now on.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all tags.")] = False,
    as_json: JsonFlag = False,
) -> int:
    layout = Studio.open().layout
    voice = find_voice(layout, name)
    kept = write_tags(voice.folder, tags or []) if tags or clear else voice.tags
    text = f"{voice.name}: {', '.join(kept) or 'no tags'}"
    return emit({"voice": voice.name, "tags": list(kept)}, text, as_json)


def run_effects(
    name: NameArgument,
    options: Mapping[str, Any],
    preset: Annotated[
        str, typer.Option(metavar="NAME", help=f"One of {', '.join(EFFECT_PRESETS)}.")
    ] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Remove all effects.")] = False,
    as_json: JsonFlag = False,
) -> int:
    voice = find_voice(Studio.open().layout, name)
    if clear and (preset or options):
        raise AppError("--clear removes the effects. Give either it or effects.")
    if clear or preset or options:
        with reraise_as_app_error(ValueError):
            write_voice_effects(voice.folder, merge_effects(preset, options))
    chain = to_chain(read_voice_effects(voice.folder))
    text = f"{voice.name}: {format_chain(chain) or 'no effects'}"
    return emit({"voice": voice.name, "effects": chain}, text, as_json)


def run_import(
    name: NameArgument,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            parser=parse_path,
            help="Recordings of one speaker, or one clip generated with --embed-latents.",
        ),
    ],
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    return _emit_voice(studio.import_voice(name, files, create_reporter(as_json)), as_json)


def run_consent(
    name: NameArgument,
    basis: Annotated[
        str, typer.Argument(metavar="{" + ",".join(BASES) + "}", help="Why it may be cloned.")
    ] = "",
    speaker: Annotated[str, typer.Option(metavar="NAME", help="Whose voice it is.")] = "",
    by: Annotated[str, typer.Option(metavar="NAME", help="Who states it.")] = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="Where the proof is.")] = "",
    as_json: JsonFlag = False,
) -> int:
    layout = Studio.open().layout
    voice = find_voice(layout, name)
    if basis:
        stated = {"basis": basis, "speaker": speaker, "stated_by": by, "note": note}
        write_consent(voice.folder, make_consent(stated))
        voice = find_voice(layout, name)
    text = voice.consent.summary if voice.consent else NO_CONSENT.format(name)
    return emit({"voice": voice.name, "consent": voice.consent}, text, as_json)


def _to_plain(voice: Voice) -> dict[str, object]:
    return {
        "name": voice.name,
        "clips": len(voice.clips),
        "kept": voice.latents_path is not None,
        "folder": str(voice.folder),
        "tags": list(voice.tags),
        "effects": to_chain(read_voice_effects(voice.folder)),
        "consent": None if voice.consent is None else to_dict(voice.consent),
    }


def _summarize(voice: Voice) -> str:
    contents = "saved latents"
    if voice.clips:
        contents = "1 clip" if len(voice.clips) == 1 else f"{len(voice.clips)} clips"
    return f"{contents}, {voice.consent.summary}" if voice.consent else contents


def _emit_voice(voice: Voice, as_json: bool) -> int:
    text = f"{voice.folder}: {_summarize(voice)}. Use it with --voice {voice.name}."
    lines = [text] if voice.consent else [text, NO_CONSENT.format(voice.name)]
    return emit(_to_plain(voice), lines, as_json)

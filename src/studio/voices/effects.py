"""The effects of a voice: a chain in its voice.yaml, for every clip that it speaks.

A blend and a random voice have none. Light: no torch at import time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from audio.effects.options import EFFECT_PRESETS, EffectOptions
from core.errors import AppError
from core.options import list_option_fields
from core.paths import ProjectPaths
from core.serialization import from_dict, to_dict
from engines.registry import get_options_class
from studio.schemas.clip_tools import NO_EFFECTS, merge_effects
from studio.schemas.speech import SpeechRequest
from studio.schemas.take_metadata import TakeMetadata
from studio.voices.catalog import parse_blend
from studio.voices.trash import find_voice_folder
from studio.voices.voice_file import read_voice_entries, write_voice_entry
from text.overrides import VOICE
from text.script import ScriptError, ScriptLine, parse_lines

ENTRY = "effects"
Chain = Mapping[str, Any]  # the options of effects that are not the defaults. Any: option values


def read_voice_effects(folder: Path) -> EffectOptions:
    """Return the effects of the folder of a voice; those that change nothing where it has none."""
    chain = read_voice_entries(folder).get(ENTRY)
    try:
        return from_dict(EffectOptions, chain) if isinstance(chain, dict) else NO_EFFECTS
    except ValueError:
        return NO_EFFECTS


def write_voice_effects(folder: Path, options: EffectOptions) -> None:
    """Replace the effects of the folder of a voice; the defaults remove them."""
    write_voice_entry(folder, ENTRY, dict(to_chain(options)))


def to_chain(options: EffectOptions) -> Chain:
    """Return the options that are not the defaults."""
    usual = to_dict(NO_EFFECTS)
    return {name: value for name, value in to_dict(options).items() if value != usual[name]}


def find_preset_name(options: EffectOptions) -> str:
    """Return the preset that is these effects, "" for none."""
    return next((name for name in EFFECT_PRESETS if merge_effects(name, {}) == options), "")


def format_chain(chain: Chain) -> str:
    """Return a chain as text."""
    return ", ".join(f"{name} {value}" for name, value in chain.items())


def format_voice_effects(effects: Mapping[str, Chain]) -> list[str]:
    """Return the effects of the voices of a clip as texts, one for each voice that has some."""
    return [f"{voice}: {format_chain(chain)}" for voice, chain in effects.items() if chain]


def select_voice_effects(
    layout: ProjectPaths, request: SpeechRequest, known: Mapping[str, Chain]
) -> dict[str, Chain]:
    """Return the effects of each voice that a request speaks with, {} for a voice without.

    known: of voices whose effects stay as they were; they are part of the result.
    """
    found = dict(known)
    for voice in _list_spoken_voices(request):
        if voice not in found:
            found[voice] = _read_chain(layout, voice)
    return found


def get_known_effects(record: TakeMetadata) -> dict[str, Chain]:
    """Return the effects of the voices of a clip as it was spoken, {} for a voice without."""
    return {**{voice: {} for voice in record.speakers}, **record.voice_effects}


def _read_chain(layout: ProjectPaths, voice: str) -> Chain:
    with suppress(AppError):  # a voice that is missing is refused when its line is planned
        (part, *others) = parse_blend(voice)
        if not others and not part.is_random:
            return to_chain(read_voice_effects(find_voice_folder(layout, part.voice)))
    return {}


def _list_spoken_voices(request: SpeechRequest) -> list[str]:
    """Return the voices of a request: its own, those of its speakers, and those before lines."""
    voices = [request.voice, *request.speaker_voices.values()]
    if "{" in request.text:
        known = [field.name for field in list_option_fields(get_options_class(request.engine))]
        with suppress(ScriptError):  # said when the lines are planned
            lines = parse_lines(request.text, request.delivery.delimiter, known=known)
            voices += [
                str(line.override[VOICE])
                for line in lines
                if isinstance(line, ScriptLine) and VOICE in line.override
            ]
    return list(dict.fromkeys(voices))

"""The voices of the speakers of scripts, kept for the next one: a file for the whole studio."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import AppError, translate_write_errors
from core.files import make_private_folder, write_text
from core.paths import ProjectPaths
from core.yaml_io import dump_yaml, read_yaml
from studio.voices.catalog import check_voices, list_voices, parse_blend
from text.speakers import find_speakers, fold_speaker

MAX_KEPT = 500


def read_speakers(layout: ProjectPaths) -> Mapping[str, str]:
    """Return name -> voice, "" for a name that is read as text; {} without a file.

    Raises AppError for a file that cannot be read.
    """
    path = layout.speakers
    if not path.is_file():
        return {}
    try:
        content = read_yaml(path)
    except ValueError as cause:
        raise AppError(f"{path} {cause} Correct it or delete it.") from cause
    if not isinstance(content, dict):
        raise AppError(f"{path} is not a table of names and voices. Correct it or delete it.")
    return {str(name): str(voice or "") for name, voice in content.items()}


def write_speakers(layout: ProjectPaths, changes: Mapping[str, str]) -> Mapping[str, str]:
    """Keep the voices of some speakers; return those of all. The oldest beyond 500 are dropped.

    Raises AppError for a voice that is missing.
    """
    for voice in changes.values():
        if voice:
            check_voices(layout, voice)
    folded = {fold_speaker(name) for name in changes}
    kept = {
        name: voice
        for name, voice in read_speakers(layout).items()
        if fold_speaker(name) not in folded
    }
    names = {**kept, **changes}
    names = dict(list(names.items())[-MAX_KEPT:])
    with translate_write_errors(layout.speakers):
        make_private_folder(layout.state)
        write_text(layout.speakers, dump_yaml(names))
    return names


def restore_speakers(layout: ProjectPaths, voices: Mapping[str, str]) -> None:
    """Keep the voices of the speakers of a clip, as far as these voices are here."""
    known = {voice.name for voice in list_voices(layout)}
    found = {
        name: voice
        for name, voice in voices.items()
        if all(part.is_random or part.voice in known for part in parse_blend(voice))
    }
    if found:
        write_speakers(layout, found)


def find_script_speakers(layout: ProjectPaths, text: str) -> dict[str, str]:
    """Return the speakers of a text and the voice of each, "" for none.

    The voice is the one that was kept, or else the voice that has the name of the speaker.
    """
    if ":" not in text:
        return {}
    known = {fold_speaker(voice.name): voice.name for voice in list_voices(layout)}
    known |= {fold_speaker(name): voice for name, voice in read_speakers(layout).items()}
    names = find_speakers(text, known)
    return {name: known.get(fold_speaker(name), "") for name in names}


def choose_speaker_voices(
    layout: ProjectPaths, text: str, stated: Mapping[str, str]
) -> dict[str, str]:
    """Return the voices of the speakers of a text; those without one are left out.

    stated: name -> voice of this text alone, which wins; its names need not be found in the text.
    Raises AppError for a stated voice that is missing.
    """
    for voice in stated.values():
        if voice:
            check_voices(layout, voice)
    folded = {fold_speaker(name) for name in stated}
    found = {
        name: voice
        for name, voice in find_script_speakers(layout, text).items()
        if fold_speaker(name) not in folded
    }
    return {name: voice for name, voice in {**found, **stated}.items() if voice}

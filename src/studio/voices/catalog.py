"""Voices: folders of clips, saved speaker latents, random voices, blends."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from audio.formats import ENCODINGS, OTHER_SUFFIXES
from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message, shorten_name, validate_name
from studio.voices.consent import MAX_TEXT_CHARS, ConsentNote, read_consent
from studio.voices.tags import read_tags

RANDOM_VOICE = "random"  # or random#SEED
AUDIO_SUFFIXES = (*(f".{name}" for name in ENCODINGS), *sorted(OTHER_SUFFIXES))
LATENTS_FILE = "latents.safetensors"  # of a voice without clips
FOREIGN_LATENTS_SUFFIX = ".pth"  # latents saved by tortoise-tts
RESTRICTIONS = ("licensed", "own", "public-domain", "synthetic")  # of consent, strictest first
MAX_BLEND_WEIGHT = 10.0
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A folder under voices/.

    clips: its audio files by name;  latents_path: its saved speaker latents, ours or a `.pth` of
    tortoise-tts, for a voice without clips;  consent: its consent note;  tags: words to find it by.
    """

    name: str
    folder: Path
    clips: tuple[Path, ...] = ()
    latents_path: Path | None = None
    consent: ConsentNote | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendComponent:
    """A voice and its weight in a blend; the weights are normalized when blending."""

    voice: str
    weight: float = 1.0
    seed: int | None = None  # of random#SEED

    @property
    def is_random(self) -> bool:
        """Return whether this is the random voice."""
        return self.voice == RANDOM_VOICE


def list_voices(layout: ProjectPaths) -> list[Voice]:
    """List the voices by name, without empty folders."""
    if not layout.voices.is_dir():
        return []
    folders = sorted(
        (path for path in layout.voices.iterdir() if _is_voice_folder(path)),
        key=lambda path: path.name.casefold(),
    )
    found = {compose(folder.name): _read_voice_folder(folder) for folder in folders}.values()
    return [voice for voice in found if voice.clips or voice.latents_path]


def search_voices(voices: Sequence[Voice], words: str) -> list[Voice]:
    """Return the voices that have every word in their name or one of their tags."""
    wanted = compose(words).casefold().replace(",", " ").split()
    return [
        voice
        for voice in voices
        if all(
            word in compose(f"{voice.name} {' '.join(voice.tags)}").casefold() for word in wanted
        )
    ]


def list_tags(voices: Sequence[Voice]) -> list[str]:
    """Return the tags that some voice has, by name, each once in any case."""
    found = {tag.casefold(): tag for voice in reversed(voices) for tag in voice.tags}
    return [found[key] for key in sorted(found)]


def get_voices_fingerprint(layout: ProjectPaths) -> str:
    """Return a text that changes with the list of voices; reads no clip."""
    if not layout.voices.is_dir():
        return ""
    with os.scandir(layout.voices) as entries:
        states = sorted(
            f"{entry.name} {entry.stat().st_mtime_ns}"
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir()
        )
    return hashlib.sha256("\n".join(states).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def find_voice(layout: ProjectPaths, name: str) -> Voice:
    """Return a voice.  Raises AppError where there is none of that name, or it is empty."""
    folder = layout.voice(name)
    if not folder.is_dir():
        raise AppError(_describe_missing_voice(layout, name), code="missing_voice")
    voice = _read_voice_folder(folder)
    if not voice.clips and voice.latents_path is None:
        raise AppError(
            f"The voice {quote_for_message(name)} has no clips in {folder}. Put one or more "
            f"recordings of 3 to 10 seconds there ({', '.join(AUDIO_SUFFIXES[:5])}).",
            code="voice_without_clips",
        )
    return voice


def parse_blend(spoken_by: str) -> tuple[BlendComponent, ...]:
    """Parse NAME, or NAME:WEIGHT+NAME:WEIGHT for a blend.  Raises AppError for anything else."""
    if not spoken_by.strip():
        raise AppError(
            "No voice was given. Choose a voice; `random` is a random one.",
            code="missing_voice",
            cli_hint="`testudo voices` lists the voices.",
        )
    parts = tuple(_parse_component(part.strip(), spoken_by) for part in spoken_by.split("+"))
    names = [(part.voice, part.seed) for part in parts]
    if len(set(names)) < len(names):
        raise AppError(
            f"The blend {quote_for_message(spoken_by)} has a voice twice; add up its weights."
        )
    if sum(part.weight for part in parts) <= 0:
        raise AppError(
            f"The weights of {quote_for_message(spoken_by)} are all zero; give one above zero."
        )
    return parts


def format_blend(parts: Sequence[tuple[str, float]]) -> str:
    """Return the text of a blend, such as alice:0.7+bob:0.3.

    parts: voices and their weights; those without a name or with a weight of zero are left out.
    Raises AppError for fewer than two voices, and for a voice twice.
    """
    named = [(name.strip(), weight) for name, weight in parts if name.strip() and weight > 0]
    if len(named) < 2:
        raise AppError("Choose at least two voices with a weight above zero.")
    text = "+".join(f"{name}:{round(weight, 3):g}" for name, weight in named)
    parse_blend(text)
    return text


def check_not_random(name: str) -> None:
    """Raise AppError for a name that is reserved for random voices."""
    if name.casefold() == RANDOM_VOICE or name.casefold().startswith(f"{RANDOM_VOICE}#"):
        raise AppError(f"{name} is reserved for random voices. Choose another name.")


def get_results_folder_name(spoken_by: str) -> str:
    """Return the results folder of a voice or a blend: alice:0.7+bob:0.3 -> alice-and-bob."""
    names = "-and-".join(part.voice for part in parse_blend(spoken_by))
    return shorten_name(names)


def check_voices(layout: ProjectPaths, spoken_by: str) -> tuple[BlendComponent, ...]:
    """Return the components of a voice or blend.  Raises AppError for a missing voice."""
    parts = parse_blend(spoken_by)
    for part in parts:
        if not part.is_random:
            find_voice(layout, part.voice)
    return parts


def combine_consents(layout: ProjectPaths, spoken_by: str) -> ConsentNote | None:
    """Return the note of a blend: why its most restricted voice may be cloned, and all names.

    None where one of its voices has no note.
    """
    bases, speakers = {RESTRICTIONS[-1]}, []
    for part in parse_blend(spoken_by):
        note = None if part.is_random else find_voice(layout, part.voice).consent
        if note is None and not part.is_random:
            return None
        bases |= {note.basis} if note else set()
        speakers.append(note.speaker if note and note.speaker else part.voice)
    return ConsentNote(
        basis=min(bases, key=RESTRICTIONS.index),
        speaker=", ".join(speakers)[:MAX_TEXT_CHARS],
        note=spoken_by[:MAX_TEXT_CHARS],
    )


def resolve_random_seed(spoken_by: str, seed: int) -> str:
    """Replace random by random#SEED, also in blends."""
    return re.sub(rf"(?<![^+\s]){RANDOM_VOICE}(?=[:+\s]|$)", f"{RANDOM_VOICE}#{seed}", spoken_by)


def _parse_component(part: str, whole: str) -> BlendComponent:
    name, colon, weight = part.rpartition(":")
    if not colon:
        name, weight = part, "1"
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", weight) or float(weight) > MAX_BLEND_WEIGHT:
        raise AppError(
            f"{quote_for_message(weight)} in {quote_for_message(whole)} is not a weight; write "
            f"a number from 0 to {MAX_BLEND_WEIGHT:g}, as in alice:0.7+bob:0.3."
        )
    random = re.fullmatch(rf"{RANDOM_VOICE}#(\d{{1,18}})", name)
    if random:
        return BlendComponent(voice=RANDOM_VOICE, weight=float(weight), seed=int(random[1]))
    return BlendComponent(voice=validate_name(compose(name), "voice"), weight=float(weight))


def _is_voice_folder(path: Path) -> bool:
    if not path.is_dir():
        return False
    try:
        validate_name(path.name, "voice")
    except AppError:
        return False
    return True


def _read_voice_folder(folder: Path) -> Voice:
    """Read a voice; folders whose names differ in the form of accents alone are one voice."""
    name = compose(folder.name)
    forms = {folder, *(folder.with_name(unicodedata.normalize(form, name)) for form in _FORMS)}
    twins = sorted((path for path in forms if path.is_dir()), key=lambda path: path != folder)
    clips = tuple(
        sorted(
            path
            for twin in _leave_out_same_folders(twins)
            for path in twin.iterdir()
            if path.suffix.lower() in AUDIO_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        )
    )
    return Voice(
        name=name,
        folder=folder,
        clips=clips,
        latents_path=_find_latents_file(folder),
        consent=read_consent(folder),
        tags=read_tags(folder),
    )


def _leave_out_same_folders(folders: Sequence[Path]) -> list[Path]:
    """Leave out folders that the file system takes for an earlier one."""
    return [
        folder
        for at, folder in enumerate(folders)
        if not any(folder.samefile(other) for other in folders[:at])
    ]


def compose(name: str) -> str:
    """Return a name with composed accents, as voices are compared."""
    return unicodedata.normalize("NFC", name)


def _find_latents_file(folder: Path) -> Path | None:
    ours = folder / LATENTS_FILE
    if ours.is_file():
        return ours
    foreign = (path for path in folder.iterdir() if path.suffix.lower() == FOREIGN_LATENTS_SUFFIX)
    return min((path for path in foreign if path.is_file()), default=None)


def _describe_missing_voice(layout: ProjectPaths, name: str) -> str:
    known = [voice.name for voice in list_voices(layout)]
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return (
            f"There is no voice {quote_for_message(name)} in {layout.voices}. Did you mean "
            f"{close[0]!r}?"
        )
    if known:
        listed = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        return (
            f"There is no voice {quote_for_message(name)} in {layout.voices}. Available: "
            f"{listed}, and {RANDOM_VOICE}. A new voice is a folder of clips there."
        )
    return (
        f"There is no voice {quote_for_message(name)}: {layout.voices} has none yet. Create the "
        f"folder {layout.voices / name} and put one or more recordings of 3 to 10 seconds into it."
    )

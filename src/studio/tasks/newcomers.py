"""New voices: made up and kept, copied from clips, or taken out of a spoken clip."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.report import Reporter
from speech.clip import ClipError
from speech.files import read_clip
from studio.bringing import is_transcript
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout, shown
from studio.speaking import SpeakRequest
from studio.tags import read_record
from studio.tasks.latents import unpacked
from studio.tasks.listen import make_up
from studio.tasks.warm import WarmEngine
from studio.voices import AUDIO_SUFFIXES, KEPT_LATENTS, RANDOM, Voice, find_voice

if TYPE_CHECKING:
    from engines.base import Engine


def keep_random(name: str, request: SpeakRequest, layout: Layout, report: Reporter) -> Voice:
    """Make up the voice that `random#SEED` is, and keep its latents under a name.

    Raises StudioError where the name is taken or the engine cannot make up voices.
    """
    _new_folder(name, layout)
    engine = WarmEngine(layout).ready_for(request, report)
    return kept_random(name, request.seed, engine, layout, report)


def kept_random(name: str, seed: int, engine: Engine, layout: Layout, report: Reporter) -> Voice:
    """Keep a voice that an engine makes up."""
    folder = _new_folder(name, layout)
    speaker = make_up(engine, seed, report)
    with writing_to(folder):
        folder.mkdir(parents=True)
        speaker.save(folder / KEPT_LATENTS)
    return find_voice(layout, name)


def import_voice(
    name: str,
    files: Sequence[Path],
    layout: Layout,
    report: Reporter,
    *,
    sound_only: bool = False,
) -> Voice:
    """Copy clips into a voice, or take the voice out of one clip that carries its latents.

    Every clip is read before the first is copied; transcripts beside them are copied as they are.
    Raises StudioError for a clip that cannot be used.
    sound_only: copy the clip even where it carries latents.
    """
    if not sound_only and len(files) == 1 and (text := _latents_in(files[0])) is not None:
        return _import_latents(name, text, files[0], layout)
    folder = layout.voice(_not_random(name))
    with refusing(ClipError):
        clips = [path for path in files if not is_transcript(path.name)]
        for path in report.track(clips, "reading clips"):
            read_clip(path)
    _check_names(files, folder)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            part = folder / f".{path.name}.part"
            try:
                shutil.copyfile(path, part)
                part.replace(folder / path.name)
            finally:
                part.unlink(missing_ok=True)
    return find_voice(layout, name)


def _import_latents(name: str, text: str, source: Path, layout: Layout) -> Voice:
    speaker = unpacked(text, source.name)
    folder = _new_folder(name, layout)
    with writing_to(folder):
        folder.mkdir(parents=True)
        speaker.save(folder / KEPT_LATENTS)
    return find_voice(layout, name)


def _latents_in(path: Path) -> str | None:
    try:
        return read_record(path).latents
    except StudioError:  # a recording, which is the usual thing to import
        return None


def _new_folder(name: str, layout: Layout) -> Path:
    folder = layout.voice(_not_random(name))
    if folder.exists():
        raise StudioError(f"There is already a voice {shown(name)}. Choose another name.")
    return folder


def _not_random(name: str) -> str:
    if name == RANDOM or name.startswith(f"{RANDOM}#"):
        raise StudioError(f"{name} always means a made-up voice. Choose another name.")
    return name


def _check_names(files: Sequence[Path], folder: Path) -> None:
    names = [path.name for path in files]
    if all(is_transcript(name) for name in names):
        raise StudioError("These are transcripts alone. Name the clips that they belong to, too.")
    for path in files:
        fits = path.suffix.lower() in AUDIO_SUFFIXES or is_transcript(path.name)
        if not fits or path.name.startswith("."):
            raise StudioError(
                f"{path.name} would not be taken for a clip of a voice. Name it with one of "
                f"{', '.join(AUDIO_SUFFIXES)}."
            )
        if names.count(path.name) > 1 or (folder / path.name).exists():
            raise StudioError(
                f"The voice would have two clips named {path.name}. Rename one of them."
            )

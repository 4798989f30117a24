"""Recordings and made-up voices become voices under names of their own."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from jobs.report import Reporter
from speech.clip import Clip, ClipError
from speech.files import read_clip, write_clip
from studio.bringing import BroughtVoice
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout
from studio.recordings import KeepRandom, KeepRecording
from studio.requests import Wish, request_of
from studio.tasks.newcomers import kept_random
from studio.tasks.workshop import Workshop
from studio.voice_bin import delete_voice, free_voice_name
from studio.voices import AUDIO_SUFFIXES, RANDOM, find_voice


def keep_random(workshop: Workshop, request: KeepRandom, report: Reporter) -> BroughtVoice:
    """Keep the voice that random#SEED is under a name, with the engine that is warm."""
    free_voice_name(workshop.layout, request.name)
    stated = {"bundle": request.bundle, "device": request.device}
    wish = Wish(
        text=f"voice {request.name}",
        voice=RANDOM,
        options={"seed": request.seed},
        stated={name: value for name, value in stated.items() if value},
    )
    spoken = request_of(workshop.settings, wish, workshop.layout)
    with workshop.speaker.session(spoken, report) as session:
        voice = kept_random(request.name, spoken.seed, session.engine, workshop.layout, report)
    return BroughtVoice(voice=voice.name, clips=len(voice.clips))


def keep_recording(workshop: Workshop, request: KeepRecording, report: Reporter) -> BroughtVoice:
    """Make a recording that waits in a folder of ours the clip of a voice.

    What a browser recorded in a form that voices are not kept in becomes a wav. Raises StudioError
    for what is no sound, silent or too short; nothing has changed then.
    """
    layout = workshop.layout
    folder = Path(request.folder)
    uploads = (layout.state / "uploads").resolve()
    if folder.resolve().parent != uploads or not folder.is_dir():
        raise StudioError("The recording is gone. Record it again.")
    try:
        (source,) = [path for path in folder.iterdir() if path.is_file()]
        with refusing(ClipError), report.stage("reading clips"):
            clip = read_clip(source)
        _put(source, clip, request, layout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    voice = find_voice(layout, request.name)
    return BroughtVoice(voice=voice.name, clips=len(voice.clips))


def _put(source: Path, clip: Clip, request: KeepRecording, layout: Layout) -> None:
    """Fill a folder beside, then let it be the voice."""
    target = layout.voice(request.name) if request.replace else None
    target = target or free_voice_name(layout, request.name)
    fresh = target.with_name(f".{target.name}.part")
    stem = f"recording-{datetime.now():%Y%m%d-%H%M%S}"
    with writing_to(target):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            if source.suffix in AUDIO_SUFFIXES:
                shutil.copyfile(source, fresh / f"{stem}{source.suffix}")
            else:
                write_clip(fresh / f"{stem}.wav", clip)
            if target.is_dir():
                delete_voice(layout, target.name)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

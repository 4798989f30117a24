"""Clips that were sent become a voice: each is decoded first, then all are copied."""

from __future__ import annotations

import shutil
from pathlib import Path

from jobs.report import Reporter
from studio.bringing import BringVoice, BroughtVoice
from studio.errors import StudioError
from studio.tasks.newcomers import import_voice
from studio.tasks.workshop import Workshop


def bring_voice(workshop: Workshop, request: BringVoice, report: Reporter) -> BroughtVoice:
    """Copy clips that wait in a folder of ours into a voice.

    Raises StudioError for one that is no sound; nothing was copied then.
    """
    uploads = (workshop.layout.state / "uploads").resolve()
    folder = Path(request.folder)
    if folder.resolve().parent != uploads or not folder.is_dir():
        raise StudioError("The clips that were sent are gone. Send them again.")
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        voice = import_voice(
            request.name, files, workshop.layout, report, sound_only=request.sound_only
        )
        return BroughtVoice(voice=voice.name, clips=len(voice.clips))
    finally:
        shutil.rmtree(folder, ignore_errors=True)

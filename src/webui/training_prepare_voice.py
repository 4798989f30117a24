"""Recordings that are dropped on the page become a voice, from which a data set can be made."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from jobs.job import Job
from studio.bringing import BringVoice, waiting_folder
from studio.errors import StudioError, writing_to
from studio.layout import slug
from studio.studio import Studio


def bring_files(studio: Studio, files: Sequence[Path], name: str) -> Job:
    """Let recordings, and the transcripts beside them, become a voice.

    files: of this process (uploads);  name: "" to name it after the first file.
    Raises StudioError for whatever cannot be a recording, or a name.
    """
    if not files:
        raise StudioError("Nothing was dropped yet. Drop recordings of one voice first.")
    called = name.strip() or slug(files[0].stem)
    folder = waiting_folder(studio.layout, called, [file.name for file in files])
    job: Job | None = None
    try:
        with writing_to(folder):
            for file in files:
                shutil.copyfile(file, folder / file.name)
        request = BringVoice(name=called, folder=str(folder), sound_only=True)
        job = studio.submit(request, title=f"Recordings of {called}")
        return job
    finally:
        if job is None:
            shutil.rmtree(folder, ignore_errors=True)

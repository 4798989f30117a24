"""Uploaded recordings that become a voice."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import slugify
from jobs.models import Job
from studio.app.studio import Studio
from studio.voices.uploads import ImportVoiceRequest, create_upload_dir


def import_recordings(studio: Studio, files: Sequence[Path], name: str, origin: str) -> Job:
    """Queue a job that imports recordings, and the transcripts beside them, as a voice.

    files: uploads of this process;  name: "" to name the voice after the first file;  origin: the
    tab.  Raises AppError for files that are not recordings, and for an invalid name.
    """
    if not files:
        raise AppError("No files. Drop recordings of one voice first.")
    voice = name.strip() or slugify(files[0].stem)
    folder = create_upload_dir(studio.layout, voice, [file.name for file in files])
    job: Job | None = None
    try:
        with translate_write_errors(folder):
            for file in files:
                shutil.copyfile(file, folder / file.name)
        request = ImportVoiceRequest(name=voice, folder=str(folder), sound_only=True)
        job = studio.submit(request, title=f"Recordings of {voice}", origin=origin)
        return job
    finally:
        if job is None:
            shutil.rmtree(folder, ignore_errors=True)

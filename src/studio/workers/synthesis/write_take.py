"""Takes become files: written whole, with their settings inside, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from audio.clip import Clip, ClipError
from audio.io import write_clip
from core.errors import reraise_as_app_error, translate_write_errors
from studio.schemas.speech import SpeechRequest, Take
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import can_embed_metadata, write_metadata, write_sidecar
from studio.workers.synthesis.concatenate import apply_rate_and_volume

PROBE_BYTES = 4096  # enough for a full disk to refuse


def write_take(clip: Clip, path: Path, record: TakeMetadata, request: SpeechRequest) -> Take:
    """Write one take at the wished rate and volume, with its settings in it and where asked beside.

    Raises StudioError when it cannot be written; nothing half-written is left then.
    """
    finished = apply_rate_and_volume(clip, request.delivery)
    record = replace(
        record,
        duration_s=round(finished.duration_s, 3),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    inside = request.embed and can_embed_metadata(path)
    with translate_write_errors(path), reraise_as_app_error(ClipError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_clip(part, finished)
            if inside:
                write_metadata(part, record)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    if request.sidecar or (request.embed and not inside):
        write_sidecar(path, record)
    return Take(path=str(path), score=record.score)


def check_can_write(path: Path) -> None:
    """Raise StudioError now if the file could not be written after minutes of speaking."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    probe = folder / f".{path.stem[:50]}.{os.getpid()}.part"
    with translate_write_errors(path):
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

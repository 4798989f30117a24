"""Takes become files: written whole, with their settings inside, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from speech.clip import Clip, ClipError
from speech.files import write_clip
from studio.errors import refusing, writing_to
from studio.speaking import SpeakRequest, Take
from studio.tags import can_embed, embed, write_sidecar
from studio.takes import TakeRecord
from studio.tasks.join import level

PROBE_BYTES = 4096  # enough for a full disk to refuse


def keep_take(clip: Clip, path: Path, record: TakeRecord, request: SpeakRequest) -> Take:
    """Write one take at the wished rate and volume, with its settings in it and where asked beside.

    Raises StudioError when it cannot be written; nothing half-written is left then.
    """
    finished = level(clip, request.delivery)
    record = replace(
        record,
        duration_s=round(finished.duration_s, 3),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    inside = request.embed and can_embed(path)
    with writing_to(path), refusing(ClipError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_clip(part, finished)
            if inside:
                embed(part, record)
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
    with writing_to(path):
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

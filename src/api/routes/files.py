"""The sound itself: clips of results, voices and training, whole or in ranges."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from api.errors import NOT_FOUND, ApiError
from api.schemas import StudioDep
from core.paths import quote_for_message

router = APIRouter(prefix="/api/files", tags=["Files"])
MEDIA_TYPES = MappingProxyType(
    {
        ".wav": "audio/wav",
        ".flac": "audio/flac",
        ".ogg": "audio/ogg",
        ".opus": "audio/ogg",
        ".mp3": "audio/mpeg",
        ".aif": "audio/aiff",
        ".aiff": "audio/aiff",
        ".m4a": "audio/mp4",
        ".aac": "audio/aac",
        ".wma": "audio/x-ms-wma",
    }
)


@router.get("/{kind}/{name:path}", response_class=FileResponse)
def download_file(
    kind: Literal["results", "voices", "training"],
    name: str,
    studio: StudioDep,
    download: Annotated[bool, Query(description="save it rather than play it")] = False,
) -> FileResponse:
    """Return a clip by its name below the results, the voices or training; ranges are served."""
    if kind == "training":
        path = resolve_training_audio(studio.layout.training, name)
    else:
        folder = studio.layout.results if kind == "results" else studio.layout.voices
        path = resolve_audio_file(folder, name)
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[path.suffix.lower()],
        filename=path.name,
        content_disposition_type="attachment" if download else "inline",
        headers={"cache-control": "no-cache"},  # a clip may be spoken anew under its name
    )


def resolve_training_audio(folder: Path, name: str) -> Path:
    """Return a clip of a data set, or what a run spoke; nothing else that lies in training/."""
    match name.split("/"):
        case [_, "audio", _] | [_, "runs", _, "samples", _]:
            return resolve_audio_file(folder, name)
    raise ApiError(NOT_FOUND, f"There is no clip {quote_for_message(name)} here.", "not_found")


def resolve_audio_file(folder: Path, name: str) -> Path:
    """Return the sound file of that name below a folder; links that lead out of it do not count."""
    missing = ApiError(NOT_FOUND, f"There is no clip {quote_for_message(name)} here.", "not_found")
    try:
        if any(part[:1] in ("", ".") for part in name.split("/")):  # up, hidden, or no name
            raise missing
        path = folder / name
        is_inside = path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, ValueError):
        raise missing from None
    if not is_inside or path.suffix.lower() not in MEDIA_TYPES or not path.is_file():
        raise missing
    return path

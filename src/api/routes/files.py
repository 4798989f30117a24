"""HTTP routes of files: audio with range requests, exported zip files."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query, UploadFile
from fastapi.responses import FileResponse

from api.errors import BAD_REQUEST, NOT_FOUND, ApiError
from api.schemas import StudioDep
from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message, validate_name
from studio.history.waveform import Waveform, read_waveform

FileKind: TypeAlias = Literal["results", "voices", "training", "uploads"]

router = APIRouter(prefix="/api")
UPLOAD_BLOCK_BYTES = 1 << 20
MEDIA_TYPES = MappingProxyType(
    {
        **dict.fromkeys((".wav", ".wave"), "audio/wav"),
        **dict.fromkeys((".ogg", ".oga", ".opus"), "audio/ogg"),
        **dict.fromkeys((".mp3", ".mpga"), "audio/mpeg"),
        **dict.fromkeys((".aif", ".aifc", ".aiff"), "audio/aiff"),
        **dict.fromkeys((".m4a", ".m4b"), "audio/mp4"),
        **dict.fromkeys((".mp4", ".m4v"), "video/mp4"),
        **dict.fromkeys((".3ga", ".3gp"), "audio/3gpp"),
        **dict.fromkeys((".mov", ".qta"), "video/quicktime"),
        ".flac": "audio/flac",
        ".aac": "audio/aac",
        ".amr": "audio/amr",
        ".au": "audio/basic",
        ".avi": "video/x-msvideo",
        ".caf": "audio/x-caf",
        ".mka": "audio/x-matroska",
        ".mkv": "video/x-matroska",
        ".w64": "audio/x-w64",
        ".weba": "audio/webm",
        ".webm": "video/webm",
        ".wma": "audio/x-ms-wma",
    }
)
"""Media types of the files that a voice may have."""


@router.get("/files/{kind}/{name:path}", response_class=FileResponse, tags=["Files"])
def download_file(
    kind: FileKind,
    name: str,
    studio: StudioDep,
    download: Annotated[bool, Query(description="as an attachment")] = False,
) -> FileResponse:
    """Return an audio file below the results, the voices, training or the uploads."""
    path = _resolve_served_file(studio.layout, kind, name)
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[path.suffix.lower()],
        filename=path.name,
        content_disposition_type="attachment" if download else "inline",
        headers={"cache-control": "no-cache"},  # a clip may be regenerated under its name
    )


@router.get("/waveforms/{kind}/{name:path}", tags=["Files"])
def get_waveform(kind: FileKind, name: str, studio: StudioDep) -> Waveform:
    """Return duration and peaks of an audio file; none where it cannot be decoded here."""
    return read_waveform(_resolve_served_file(studio.layout, kind, name))


def _resolve_served_file(layout: ProjectPaths, kind: FileKind, name: str) -> Path:
    if kind == "training":
        return resolve_training_audio(layout.training, name)
    folders = {"results": layout.results, "voices": layout.voices}
    return resolve_audio_file(folders.get(kind, layout.state / "uploads"), name)


def resolve_training_audio(folder: Path, name: str) -> Path:
    """Return a clip of a dataset, a sample of a run or the recording of a gold project; no other
    file in training/."""
    match name.split("/"):
        case (
            [_, "audio", _]
            | [_, "runs", _, "samples", _]
            | ["sv2tts", "runs", _, "wavs", _]
            | ["gold", _, "audio", _]
        ):
            return resolve_audio_file(folder, name)
    raise ApiError(NOT_FOUND, f"There is no clip {quote_for_message(name)} here.", "not_found")


def resolve_audio_file(folder: Path, name: str) -> Path:
    """Return an audio file below a folder; links out of the folder raise ApiError."""
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


def save_upload(file: UploadFile, path: Path) -> None:
    """Save an uploaded file; an empty one raises ApiError."""
    with translate_write_errors(path), path.open("wb") as target:
        shutil.copyfileobj(file.file, target, UPLOAD_BLOCK_BYTES)
    if path.stat().st_size == 0:
        name = Path(file.filename or path.name).name
        raise ApiError(BAD_REQUEST, f"{name} is empty. Record or copy it again.", "bad_clip")


@router.get("/exports/{name}", response_class=FileResponse, tags=["Results"])
def download_export(name: str, studio: StudioDep) -> FileResponse:
    """Return an exported zip file; it is deleted after a day."""
    try:
        path = studio.layout.exports / validate_name(name, "zip file")
    except AppError:
        path = None
    if path is None or path.suffix != ".zip" or path.is_symlink() or not path.is_file():
        raise ApiError(
            NOT_FOUND, f"There is no export {quote_for_message(name)}. Export again.", "not_found"
        )
    return FileResponse(path, media_type="application/zip", filename=path.name)

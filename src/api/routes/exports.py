"""Zip files of clips, made by the history, to be saved by the browser that asked for them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from api.errors import NOT_FOUND, ApiError
from api.schemas import StudioDep
from core.errors import AppError
from core.paths import quote_for_message, validate_name

router = APIRouter(prefix="/api/exports", tags=["Results"])


@router.get("/{name}", response_class=FileResponse)
def download_export(name: str, studio: StudioDep) -> FileResponse:
    """Return a zip file that was exported; it is kept for a day."""
    try:
        path = studio.layout.exports / validate_name(name, "zip file")
    except AppError:
        path = None
    if path is None or path.suffix != ".zip" or path.is_symlink() or not path.is_file():
        raise ApiError(
            NOT_FOUND, f"There is no export {quote_for_message(name)}. Export again.", "not_found"
        )
    return FileResponse(path, media_type="application/zip", filename=path.name)

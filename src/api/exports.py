"""Zip files of clips, made by the history, to be saved by the browser that asked for them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from api.errors import MISSING, Refused
from api.views import Served
from studio.errors import StudioError
from studio.layout import plain_name, shown

router = APIRouter(prefix="/api/exports", tags=["Results"])


@router.get("/{name}", response_class=FileResponse)
def export(name: str, studio: Served) -> FileResponse:
    """Return a zip file that was exported; it is kept for a day."""
    try:
        path = studio.layout.exports / plain_name(name, "zip file")
    except StudioError:
        path = None
    if path is None or path.suffix != ".zip" or path.is_symlink() or not path.is_file():
        raise Refused(MISSING, f"There is no export {shown(name)}. Export again.", "not_found")
    return FileResponse(path, media_type="application/zip", filename=path.name)

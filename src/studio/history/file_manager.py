"""Open the folder of a clip in the file manager of the desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import AppError
from core.network_address import parse_address
from studio.schemas.settings import Settings

NO_DESKTOP_MESSAGE = "There is no file manager on this machine. The file is {path}."


def can_open_folder(settings: Settings) -> bool:
    """Return whether folders can be opened; not where other machines can use the page."""
    is_local = parse_address(settings.listen).is_local and not settings.share
    return is_local and _find_file_manager() is not None


def open_clip_folder(clip: Path) -> None:
    """Open the folder of a clip.  Raises AppError where there is no file manager."""
    program = _find_file_manager()
    if program is None:
        raise AppError(NO_DESKTOP_MESSAGE.format(path=clip))
    try:
        subprocess.Popen(
            [program, str(clip.parent)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as cause:
        raise AppError(NO_DESKTOP_MESSAGE.format(path=clip)) from cause


def _find_file_manager() -> str | None:
    if sys.platform == "win32":
        return shutil.which("explorer")
    if sys.platform == "darwin":
        return shutil.which("open")
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if has_desktop else None

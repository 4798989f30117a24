"""Showing a clip in the folders of the desktop, where there is one and only we can ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import AppError
from core.network_address import parse_address
from studio.schemas.settings import Settings

NO_DESKTOP_MESSAGE = "This machine has no desktop to show folders on. The file is {path}."


def can_open_folder(settings: Settings) -> bool:
    """Say whether a folder may be opened: not for visitors from other machines."""
    is_ours = parse_address(settings.listen).is_local and not settings.share
    return is_ours and _find_file_manager() is not None


def open_clip_folder(clip: Path) -> None:
    """Open the folder that a clip lies in. Raises StudioError where there is no desktop."""
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
    """Name the program that opens folders here."""
    if sys.platform == "win32":
        return shutil.which("explorer")
    if sys.platform == "darwin":
        return shutil.which("open")
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if has_desktop else None

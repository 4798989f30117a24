"""Checks of changed settings against the files and the network of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.errors import AppError
from core.network_address import open_socket, parse_address
from core.paths import ProjectPaths
from studio.model_store.bundles import find_model_folder
from studio.model_store.finetunes import AUTO
from studio.schemas.settings import Settings, apply_folders, parse_voice_names
from studio.voices.catalog import check_voices

FOLDER_SETTINGS = ("results", "voices", "models")


def check_changed_settings(
    layout: ProjectPaths, settings: Settings, changed: Iterable[str]
) -> None:
    """Raise AppError for a changed setting that no request or start could use.

    layout: the default one, before the settings move its folders.
    """
    layout = apply_folders(layout, settings)
    for name in changed:
        if name == "voice" and settings.voice:
            check_voices(layout, settings.voice)
        elif name == "openai_voices":
            for voice in parse_voice_names(settings.openai_voices).values():
                check_voices(layout, voice)
        elif name == "bundle" and settings.bundle != AUTO:
            find_model_folder(layout, settings.bundle)
        elif name == "listen":
            open_socket(replace(parse_address(settings.listen), port=0))[0].close()
        elif name in FOLDER_SETTINGS:
            _check_folder(name, getattr(layout, name))


def _check_folder(name: str, folder: Path) -> None:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise AppError(f"{name} cannot be {folder}: {nearest} is a file. Give a folder.")
    if not os.access(nearest, os.W_OK):
        raise AppError(
            f"{name} cannot be {folder}: {nearest} is not writable. Choose a folder that you may "
            "write to."
        )

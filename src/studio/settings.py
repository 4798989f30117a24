"""The settings file: what the user wants every time, unless the command line says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from jobs.plain import PlainError, from_plain
from studio.errors import StudioError
from studio.layout import Layout

LARGEST_FILE = 1_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What settings.yaml may hold; every entry has a default.

    voices, results, models: folders, relative to the studio's own;  engine, bundle: what speaks;
    voice, preset: taken where none is named;  device: auto, cpu, cuda, cuda:1, mps …;
    threads: of the processor, 0 to let PyTorch choose;  format: of clips without a --out;
    embed: settings go into the clips;  sidecar: and into a JSON file beside them;
    embed_latents: the voice too (whoever has the clip can then speak with it);
    options, delivery: knobs by name, as `testudo speak --help` lists them.
    """

    voices: str = "voices"
    results: str = "results"
    models: str = "models"
    engine: str = "tortoise"
    bundle: str = "starter"
    voice: str = ""
    preset: str = ""
    device: str = "auto"
    threads: int = 0
    format: str = "wav"
    embed: bool = True
    sidecar: bool = False
    embed_latents: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: each knob has its own type
    delivery: Mapping[str, Any] = field(default_factory=dict)


def load_settings(layout: Layout) -> Settings:
    """Read settings.yaml (YAML or JSON); without one, the defaults.

    Raises StudioError for a file that cannot be read, an unknown entry or a wrong type.
    """
    path = layout.settings_file
    if not path.is_file():
        return Settings()
    try:
        data = yaml.safe_load(_read(path))
        return from_plain(Settings, data) if data is not None else Settings()
    except yaml.YAMLError as cause:
        where = getattr(cause, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise StudioError(f"{path} is not YAML{line}. Correct it or delete it.") from cause
    except (PlainError, RecursionError) as cause:
        raise StudioError(f"{path}: {cause}") from cause


def apply_folders(layout: Layout, settings: Settings) -> Layout:
    """Move the folders that the settings move."""
    return replace(
        layout,
        voices=_folder(layout.root, settings.voices),
        results=_folder(layout.root, settings.results),
        models=_folder(layout.root, settings.models),
    )


def _folder(root: Path, name: str) -> Path:
    return root / Path(name).expanduser()


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise StudioError(f"{path} is larger than {LARGEST_FILE:,} bytes; shorten it.")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as cause:
        raise StudioError(f"Cannot read {path}: {cause}. Correct it or delete it.") from cause

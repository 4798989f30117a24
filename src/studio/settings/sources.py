"""The settings in effect, and the source of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.errors import reraise_as_app_error
from core.options import merge_layers
from core.paths import ProjectPaths
from studio.schemas.settings import Settings
from studio.schemas.speech import DEFAULT as DEFAULT
from studio.schemas.speech import FILE as FILE
from studio.settings.store import check_setting_name, read_settings_file, validate_settings

# Any: each setting has its own type.

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSettings:
    """The settings in effect.

    file_values: what settings.yaml sets;  command_line_values: what the command line sets.
    """

    settings: Settings
    file_values: Mapping[str, Any]
    command_line_values: Mapping[str, Any]

    def source(self, name: str) -> str:
        """Return where the value of a setting comes from."""
        layers = [(FILE, self.file_values), (COMMAND_LINE, self.command_line_values)]
        return merge_layers(layers).sources.get(name, DEFAULT)


def resolve_settings(
    layout: ProjectPaths, given: Mapping[str, Any] | None = None
) -> ResolvedSettings:
    """Merge defaults, settings.yaml and the command line (`given`), lowest first.

    Raises AppError for a file, or a given value, that cannot be used.
    """
    stated = read_settings_file(layout)
    settings = validate_settings(stated, layout)
    chosen = {check_setting_name(name): value for name, value in (given or {}).items()}
    with reraise_as_app_error(ValueError):
        settings = replace(settings, **chosen)
    return ResolvedSettings(settings=settings, file_values=stated, command_line_values=chosen)

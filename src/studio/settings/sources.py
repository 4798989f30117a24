"""Which settings hold, and where each comes from: the command line, the file, or the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.errors import reraise_as_app_error
from core.paths import ProjectPaths
from studio.schemas.settings import Settings
from studio.settings.store import check_setting_name, read_settings_file, validate_settings

# Any: each setting has its own type.

COMMAND_LINE, FILE, DEFAULT = "command line", "settings.yaml", "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSettings:
    """The settings that hold. stated: what the file says;  given: what the command line says."""

    settings: Settings
    file_values: Mapping[str, Any]
    command_line_values: Mapping[str, Any]

    def source(self, name: str) -> str:
        """Say where a setting comes from."""
        if name in self.command_line_values:
            return COMMAND_LINE
        return FILE if name in self.file_values else DEFAULT


def resolve_settings(
    layout: ProjectPaths, given: Mapping[str, Any] | None = None
) -> ResolvedSettings:
    """Read the file and lay the command line over it.

    Raises StudioError for a file, or a given value, that cannot be used.
    """
    stated = read_settings_file(layout)
    settings = validate_settings(stated, layout)
    chosen = {check_setting_name(name): value for name, value in (given or {}).items()}
    with reraise_as_app_error(ValueError):
        over = replace(settings, **chosen)
    return ResolvedSettings(settings=over, file_values=stated, command_line_values=chosen)

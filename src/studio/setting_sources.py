"""Which settings hold, and where each comes from: the command line, the file, or the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from studio.errors import refusing
from studio.layout import Layout
from studio.settings import Settings
from studio.settings_file import check_name, checked, read_stated

# Any: each setting has its own type.

COMMAND_LINE, FILE, DEFAULT = "command line", "settings.yaml", "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The settings that hold. stated: what the file says;  given: what the command line says."""

    settings: Settings
    stated: Mapping[str, Any]
    given: Mapping[str, Any]

    def source(self, name: str) -> str:
        """Say where a setting comes from."""
        if name in self.given:
            return COMMAND_LINE
        return FILE if name in self.stated else DEFAULT


def effective_settings(layout: Layout, given: Mapping[str, Any] | None = None) -> Effective:
    """Read the file and lay the command line over it.

    Raises StudioError for a file, or a given value, that cannot be used.
    """
    stated = read_stated(layout)
    settings = checked(stated, layout)
    chosen = {check_name(name): value for name, value in (given or {}).items()}
    with refusing(ValueError):
        over = replace(settings, **chosen)
    return Effective(settings=over, stated=stated, given=chosen)

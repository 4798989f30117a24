"""Registry of the engines, as import strings, so that it imports no network.

An installed package adds an engine by two entry points of the same name: one of the group
`testudo.engines` (its engine class) and one of `testudo.engine_options` (its options class).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from core.serialization import suggest_similar

if TYPE_CHECKING:
    from engines.protocols import Engine

ENGINE_GROUP, OPTIONS_GROUP = "testudo.engines", "testudo.engine_options"
# name: (options class, light; engine class, imports torch)
ENGINES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tortoise": (
            "tortoise.generation.options:TortoiseOptions",
            "tortoise.engine:TortoiseEngine",
        ),
        "sv2tts": ("sv2tts.generation.options:Sv2ttsOptions", "sv2tts.engine:Sv2ttsEngine"),
        "quick": ("quick.options:QuickOptions", "quick.engine:QuickEngine"),
    }
)


def list_engines() -> list[str]:
    """Return the names of all engines, those of installed packages last."""
    return [*ENGINES, *_find_installed_engines()]


def get_options_class(name: str) -> type[Any]:  # Any: every engine has its own
    """Return the engine's options class; imports no torch."""
    return _import_class(_get_entry(name)[0])


def get_engine_class(name: str) -> type[Engine]:
    """Return the engine's class; imports torch, so only workers call it."""
    return cast("type[Engine]", _import_class(_get_entry(name)[1]))


def _get_entry(name: str) -> tuple[str, str]:
    if name in ENGINES:
        return ENGINES[name]
    installed = _find_installed_engines()
    if name not in installed:
        known = list_engines()
        hint = suggest_similar(name, known) or f" Available: {', '.join(known)}."
        raise ValueError(f"There is no engine {name!r}.{hint}")
    return installed[name]


@cache
def _find_installed_engines() -> Mapping[str, tuple[str, str]]:
    """Return the engines that packages add; what lacks its options or has a known name is not."""
    options = {point.name: point.value for point in entry_points(group=OPTIONS_GROUP)}
    engines = {point.name: point.value for point in entry_points(group=ENGINE_GROUP)}
    return {
        name: (options[name], engines[name])
        for name in sorted(options.keys() & engines.keys() - ENGINES.keys())
    }


def _import_class(address: str) -> type[Any]:
    module, name = address.split(":")
    found: type[Any] = getattr(import_module(module), name)
    return found

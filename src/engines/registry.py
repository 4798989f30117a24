"""Registry of the engines, as import strings, so that it imports no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from core.serialization import suggest_similar

if TYPE_CHECKING:
    from engines.protocols import Engine

# name: (options class, light; engine class, imports torch)
ENGINES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tortoise": (
            "tortoise.generation.options:TortoiseOptions",
            "tortoise.engine:TortoiseEngine",
        ),
        "quick": ("quick.options:QuickOptions", "quick.engine:QuickEngine"),
    }
)


def get_options_class(name: str) -> type[Any]:  # Any: every engine has its own
    """Return the engine's options class; imports no torch."""
    return _import_class(_get_entry(name)[0])


def get_engine_class(name: str) -> type[Engine]:
    """Return the engine's class; imports torch, so only workers call it."""
    return cast("type[Engine]", _import_class(_get_entry(name)[1]))


def _get_entry(name: str) -> tuple[str, str]:
    if name not in ENGINES:
        known = list(ENGINES)
        hint = suggest_similar(name, known) or f" Available: {', '.join(known)}."
        raise ValueError(f"There is no engine {name!r}.{hint}")
    return ENGINES[name]


def _import_class(address: str) -> type[Any]:
    module, name = address.split(":")
    found: type[Any] = getattr(import_module(module), name)
    return found

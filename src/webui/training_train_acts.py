"""What the buttons beside runs and checkpoints do. A browser sends only names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from studio.errors import StudioError
from studio.layout import shown
from studio.studio import Studio
from webui.messages import note

# Any: what a browser sends, and what the controls of a form show.

Asked = Mapping[str, Any]
BETWEEN = " / "  # no name holds a stroke


@dataclass(frozen=True, kw_only=True)
class Came:
    """What comes of a button.

    told: HTML;  chosen: the title of the run to look at;  values: what the tab Generate is filled
    with, which is then gone to.
    """

    told: str = ""
    chosen: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def answer(studio: Studio, asked: Asked) -> Came:
    """Do what a button asks for. Raises StudioError for what cannot be done."""
    act = ACTS.get(str(asked.get("act")))
    if act is None:
        raise StudioError("The page asked for something that is not known. Reload it.")
    dataset, name = place_of(str(asked.get("job", "")))
    return act(studio, dataset, name, str(asked.get("value") or ""))


def place_of(title: str) -> tuple[str, str]:
    """Return dataset and name of a run by its title. Raises StudioError for what is none."""
    dataset, between, name = title.partition(BETWEEN)
    if not between:
        raise StudioError("No run is chosen. Choose one from the list, or press Train.")
    return dataset, name


def configured(studio: Studio) -> list[str]:
    """List the datasets that have a configuration."""
    return [path.parent.name for path in sorted(studio.layout.training.glob("*/train.yaml"))]


def _show(studio: Studio, dataset: str, name: str, value: str) -> Came:
    studio.runs.view(dataset, name)
    return Came(chosen=f"{dataset}{BETWEEN}{name}")


def _delete(studio: Studio, dataset: str, name: str, value: str) -> Came:
    studio.runs.delete(dataset, name)
    return Came(told=note(f"{dataset}{BETWEEN}{name} is in the bin."))


def _use(studio: Studio, dataset: str, name: str, value: str) -> Came:
    bundle = studio.runs.publish(dataset, name, _step(value))
    return Came(told=note(f"{bundle} is ready: choose it as Model on the tab Generate."))


def _speak(studio: Studio, dataset: str, name: str, value: str) -> Came:
    bundle = studio.runs.publish(dataset, name, _step(value))
    return Came(values={"bundle": bundle})


def _step(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise StudioError(f"{shown(value)} is no step of a run. Reload the page.")
    return int(value)


ACTS: Mapping[str, Callable[[Studio, str, str, str], Came]] = MappingProxyType(
    {"show": _show, "delete": _delete, "use": _use, "speak": _speak}
)

"""What the buttons beside runs and checkpoints do. A browser sends only names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from studio.errors import StudioError
from studio.finetunes import OwnModel, list_finetunes
from studio.layout import Layout, shown
from studio.runs_bin import restore_run
from studio.runs_publish import wish_to_publish
from studio.studio import Studio
from webui.messages import note

# Any: what a browser sends, and what the controls of a form show.

Asked = Mapping[str, Any]
CONFIG_FILE = "train.yaml"
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
    """List the datasets that have a configuration, the one that was saved last first."""
    found = studio.layout.training.glob(f"*/{CONFIG_FILE}")
    dated = sorted(((path.stat().st_mtime, path.parent.name) for path in found), reverse=True)
    return [name for _, name in dated]


def _show(studio: Studio, dataset: str, name: str, value: str) -> Came:
    studio.runs.view(dataset, name)
    return Came(chosen=f"{dataset}{BETWEEN}{name}")


def _delete(studio: Studio, dataset: str, name: str, value: str) -> Came:
    studio.runs.delete(dataset, name)
    return Came(told=note(f"{dataset}{BETWEEN}{name} is in the bin; Put back brings it again."))


def _restore(studio: Studio, dataset: str, name: str, value: str) -> Came:
    back = f"{dataset}{BETWEEN}{restore_run(studio.layout, dataset, value)}"
    return Came(told=note(f"{back} is back."), chosen=back)


def _use(studio: Studio, dataset: str, name: str, value: str) -> Came:
    step = _step(value)
    wish = wish_to_publish(studio.layout, dataset, name, step)
    studio.submit(wish, title=f"Make a model of step {step:,} of {dataset}{BETWEEN}{name}")
    return Came(told=note(f"Step {step:,} becomes a model; Speak with it appears beside it."))


def _speak(studio: Studio, dataset: str, name: str, value: str) -> Came:
    model = models_of(studio.layout, dataset, name).get(_step(value))
    if model is None:
        raise StudioError("That checkpoint is no model yet. Press Use this one first.")
    voice = {"voice": model.learned.voice} if model.learned.voice else {}
    return Came(values={"bundle": model.bundle, **voice})


def models_of(layout: Layout, dataset: str, name: str) -> dict[int, OwnModel]:
    """Return the models that were made of a run, by the step of their checkpoint."""
    return {
        model.learned.step: model
        for model in list_finetunes(layout)
        if (model.learned.dataset, model.learned.run) == (dataset, name)
    }


def _step(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise StudioError(f"{shown(value)} is no step of a run. Reload the page.")
    return int(value)


ACTS: Mapping[str, Callable[[Studio, str, str, str], Came]] = MappingProxyType(
    {"show": _show, "delete": _delete, "restore": _restore, "use": _use, "speak": _speak}
)

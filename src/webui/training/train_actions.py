"""What the buttons beside runs and checkpoints do. A browser sends only names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message
from studio.app.studio import Studio
from studio.model_store.finetunes import FinetunedModel, list_finetunes
from studio.training_runs.service import build_export_request
from studio.training_runs.trash import restore_run
from webui.components.messages import note_html

# Any: what a browser sends, and what the controls of a form show.

RunActionData = Mapping[str, Any]
CONFIG_FILE = "train.yaml"
TITLE_SEPARATOR = " / "  # no name holds a stroke


@dataclass(frozen=True, kw_only=True)
class RunActionResult:
    """What comes of a button.

    told: HTML;  chosen: the title of the run to look at;  values: what the tab Generate is filled
    with, which is then gone to.
    """

    message_html: str = ""
    chosen: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def handle_run_action(studio: Studio, asked: RunActionData) -> RunActionResult:
    """Do what a button asks for. Raises StudioError for what cannot be done."""
    act = ACTION_HANDLERS.get(str(asked.get("act")))
    if act is None:
        raise AppError("The page asked for something that is not known. Reload it.")
    dataset, name = parse_run_title(str(asked.get("job", "")))
    return act(studio, dataset, name, str(asked.get("value") or ""))


def parse_run_title(title: str) -> tuple[str, str]:
    """Return dataset and name of a run by its title. Raises StudioError for what is none."""
    dataset, between, name = title.partition(TITLE_SEPARATOR)
    if not between:
        raise AppError("No run is chosen. Choose one from the list, or press Train.")
    return dataset, name


def list_configured_datasets(studio: Studio) -> list[str]:
    """List the datasets that have a configuration, the one that was saved last first."""
    found = studio.layout.training.glob(f"*/{CONFIG_FILE}")
    dated = sorted(((path.stat().st_mtime, path.parent.name) for path in found), reverse=True)
    return [name for _, name in dated]


def _show(studio: Studio, dataset: str, name: str, value: str) -> RunActionResult:
    studio.runs.view(dataset, name)
    return RunActionResult(chosen=f"{dataset}{TITLE_SEPARATOR}{name}")


def _delete(studio: Studio, dataset: str, name: str, value: str) -> RunActionResult:
    studio.runs.delete(dataset, name)
    return RunActionResult(
        message_html=note_html(
            f"{dataset}{TITLE_SEPARATOR}{name} is in the bin; Put back brings it again."
        )
    )


def _restore(studio: Studio, dataset: str, name: str, value: str) -> RunActionResult:
    back = f"{dataset}{TITLE_SEPARATOR}{restore_run(studio.layout, dataset, value)}"
    return RunActionResult(message_html=note_html(f"{back} is back."), chosen=back)


def _export_checkpoint(studio: Studio, dataset: str, name: str, value: str) -> RunActionResult:
    step = _parse_step(value)
    wish = build_export_request(studio.layout, dataset, name, step)
    studio.submit(wish, title=f"Make a model of step {step:,} of {dataset}{TITLE_SEPARATOR}{name}")
    return RunActionResult(
        message_html=note_html(f"Step {step:,} becomes a model; Speak with it appears beside it.")
    )


def _speak_with_model(studio: Studio, dataset: str, name: str, value: str) -> RunActionResult:
    model = find_exported_models(studio.layout, dataset, name).get(_parse_step(value))
    if model is None:
        raise AppError("That checkpoint is no model yet. Press Use this one first.")
    voice = {"voice": model.metadata.voice} if model.metadata.voice else {}
    return RunActionResult(values={"bundle": model.bundle, **voice})


def find_exported_models(
    layout: ProjectPaths, dataset: str, name: str
) -> dict[int, FinetunedModel]:
    """Return the models that were made of a run, by the step of their checkpoint."""
    return {
        model.metadata.step: model
        for model in list_finetunes(layout)
        if (model.metadata.dataset, model.metadata.run) == (dataset, name)
    }


def _parse_step(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise AppError(f"{quote_for_message(value)} is no step of a run. Reload the page.")
    return int(value)


ACTION_HANDLERS: Mapping[str, Callable[[Studio, str, str, str], RunActionResult]] = (
    MappingProxyType(
        {
            "show": _show,
            "delete": _delete,
            "restore": _restore,
            "use": _export_checkpoint,
            "speak": _speak_with_model,
        }
    )
)

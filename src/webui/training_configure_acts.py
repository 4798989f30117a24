"""What the plan of a training asks the studio for: proposals, pre-flight, a dry step, a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from jobs.job import Job
from studio.configuring import (
    Examined,
    Finding,
    config_from,
    examine,
    propose,
    read,
    save,
    values_of,
)
from studio.configuring_machine import ask_machine, is_known
from studio.configuring_try import TryBatch
from studio.errors import StudioError
from studio.layout import Layout
from studio.studio import Studio
from studio.weights import list_bundles
from webui.messages import refusal
from webui.training_configure_view import findings_html, plan_html, saved_html

# Any: each field of a configuration has its own type.

TRIAL = "try_batch"
STAGES: Mapping[str, str] = MappingProxyType(
    {"schedule.steps": "speaking", "diffusion.steps": "diffusion"}
)
NO_DATASET = (
    '<p class="hint" data-key="empty">There is no dataset yet. Make one under '
    "<strong>Prepare Dataset</strong>; it appears here by itself.</p>"
)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What the form is filled with; reasons: why a value was proposed, by its key."""

    values: Mapping[str, Any]
    told: str
    reasons: Mapping[str, str] = field(default_factory=dict)


def dataset_names(layout: Layout) -> list[str]:
    """List the datasets that have clips to learn from."""
    return sorted(path.parent.name for path in layout.training.glob("*/train.txt"))


def stamp_of(layout: Layout, dataset: Any) -> str:
    """Name the state of a dataset: another stamp, and a plan for it has to be made anew."""
    try:
        return str((layout.dataset(str(dataset or "")) / "train.txt").stat().st_mtime_ns)
    except (OSError, StudioError):
        return ""


def bundle_names(studio: Studio) -> list[str]:
    """List the models that can be begun from, the one of the settings first."""
    names = [bundle.name for bundle in list_bundles(studio.layout) if bundle.speaks]
    return sorted(names, key=lambda name: name != studio.settings.bundle)


def opened(studio: Studio, dataset: str, bundle: str) -> Opened:
    """Return the configuration that was saved for a dataset, or one that is proposed."""
    if not (studio.layout.dataset(dataset) / "train.yaml").is_file():
        return proposed(studio, dataset, bundle)
    try:
        config = read(studio.layout, dataset)
    except StudioError as cause:
        found = proposed(studio, dataset, bundle)
        told = f"The saved configuration cannot be used, so one is proposed. {cause}"
        return Opened(values=found.values, reasons=found.reasons, told=told)
    told = f"This is the saved configuration of {dataset}. Propose anew makes another."
    return Opened(values=values_of(config), told=told)


def proposed(studio: Studio, dataset: str, bundle: str) -> Opened:
    """Return what is proposed for a dataset and a model on this machine."""
    if not dataset:
        raise StudioError("No dataset is chosen. Make one under Prepare Dataset.")
    layout, device = studio.layout, studio.settings.device
    if not is_known(layout):
        ask_machine(layout, device)
    found = propose(layout, dataset, bundle, device)
    told = "Proposed from the dataset and this machine; each reason stands beside its value."
    values = values_of(found.config)
    for key, name in STAGES.items():
        if not values[key] and key in found.reasons:  # its controls are not shown
            told += f" The {name} network stays as it is: {found.reasons[key].rstrip('.')}."
    return Opened(values=values, reasons=found.reasons, told=told)


def usual_steps(studio: Studio, dataset: str, bundle: str) -> int:
    """Return for how many steps a network would learn that has learned for none yet."""
    config = propose(studio.layout, dataset, bundle, studio.settings.device).config
    return config.schedule.steps or config.diffusion.steps


def planned_html(studio: Studio, read_form: Callable[[], Mapping[str, Any]]) -> str:
    """Draw what speaks against what the form says, and what it comes to.

    read_form: returns the fields, or raises StudioError naming the control that is wrong.
    """
    if not dataset_names(studio.layout):
        return NO_DATASET
    try:
        seen = _examined(studio, read_form())
    except StudioError as cause:
        return refusal(cause)
    plan = plan_html(seen.plan) if seen.plan is not None else ""
    return f"{findings_html(seen.findings)}{plan}"


def fix_for(studio: Studio, values: Mapping[str, Any], kind: str) -> Finding:
    """Return the finding of this kind, with the changes that mend it."""
    for finding in _examined(studio, values).findings:
        if finding.kind == kind and finding.changes:
            return finding
    raise StudioError("That does not stand in the way any more.")


def save_form(studio: Studio, values: Mapping[str, Any]) -> str:
    """Write the configuration; tell where, and show it."""
    config = config_from(values)
    path = save(studio.layout, config)
    stops = examine(studio.layout, config, studio.settings.device).stops
    told = "Saved." if not stops else "Saved, but it cannot be trained as it is: see above."
    where = (
        path.relative_to(studio.layout.root) if path.is_relative_to(studio.layout.root) else path
    )
    return saved_html(told, where.as_posix(), path.read_text(encoding="utf-8"))


def start_trial(studio: Studio, values: Mapping[str, Any]) -> str:
    """Put a dry step into the queue; how it stands is shown above, so there is nothing to say."""
    config = config_from(values)
    title = f"Try a step with {config.dataset.name}"
    studio.submit(TryBatch(values=values_of(config)), title=title)
    return ""


def newest_trial(studio: Studio) -> Job | None:
    """Return the latest dry step."""
    return next((job for job in studio.jobs(limit=50) if job.task == TRIAL), None)


def changes_of_trial(studio: Studio) -> Mapping[str, Any]:
    """Return the fields to set so that a step fits, as the latest dry step found."""
    trial = newest_trial(studio)
    changes: Mapping[str, Any] = (trial.result or {}).get("changes", {}) if trial else {}
    if not changes:
        raise StudioError("There is nothing to change: it fits as it is.")
    return changes


def _examined(studio: Studio, values: Mapping[str, Any]) -> Examined:
    return examine(studio.layout, config_from(values), studio.settings.device)

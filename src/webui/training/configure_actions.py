"""What the plan of a training asks the studio for: proposals, pre-flight, a dry step, a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.models import Job
from studio.app.studio import Studio
from studio.model_store.bundles import list_models
from studio.schemas.batch_probe import BatchProbeRequest
from studio.training_runs.config_service import (
    ConfigReport,
    PreflightFinding,
    check_config,
    config_from_values,
    config_to_values,
    load_config,
    propose_config,
    save_config,
)
from studio.training_runs.machine_facts import detect_machine, is_machine_known
from webui.components.messages import error_html
from webui.training.configure_view import findings_html, plan_html, saved_config_html

# Any: each field of a configuration has its own type.

TRIAL_TASK = "try_batch"
STAGES: Mapping[str, str] = MappingProxyType(
    {"schedule.steps": "speaking", "diffusion.steps": "diffusion"}
)
NO_DATASET = (
    '<p class="hint" data-key="empty">There is no dataset yet. Make one under '
    "<strong>Prepare Dataset</strong>; it appears here by itself.</p>"
)


@dataclass(frozen=True, kw_only=True)
class ConfigFormContent:
    """What the form is filled with; reasons: why a value was proposed, by its key."""

    values: Mapping[str, Any]
    message: str
    reasons: Mapping[str, str] = field(default_factory=dict)


def dataset_names(layout: ProjectPaths) -> list[str]:
    """List the datasets that have clips to learn from."""
    return sorted(path.parent.name for path in layout.training.glob("*/train.txt"))


def get_dataset_stamp(layout: ProjectPaths, dataset: Any) -> str:
    """Name the state of a dataset: another stamp, and a plan for it has to be made anew."""
    try:
        return str((layout.dataset(str(dataset or "")) / "train.txt").stat().st_mtime_ns)
    except (OSError, AppError):
        return ""


def model_names(studio: Studio) -> list[str]:
    """List the models that can be begun from, the one of the settings first."""
    names = [bundle.name for bundle in list_models(studio.layout) if bundle.speaks]
    return sorted(names, key=lambda name: name != studio.settings.bundle)


def load_config_form(studio: Studio, dataset: str, bundle: str) -> ConfigFormContent:
    """Return the configuration that was saved for a dataset, or one that is proposed."""
    if not (studio.layout.dataset(dataset) / "train.yaml").is_file():
        return load_proposed_form(studio, dataset, bundle)
    try:
        config = load_config(studio.layout, dataset)
    except AppError as cause:
        found = load_proposed_form(studio, dataset, bundle)
        told = f"The saved configuration cannot be used, so one is proposed. {cause}"
        return ConfigFormContent(values=found.values, reasons=found.reasons, message=told)
    told = f"This is the saved configuration of {dataset}. Propose anew makes another."
    return ConfigFormContent(values=config_to_values(config), message=told)


def load_proposed_form(studio: Studio, dataset: str, bundle: str) -> ConfigFormContent:
    """Return what is proposed for a dataset and a model on this machine."""
    if not dataset:
        raise AppError("No dataset is chosen. Make one under Prepare Dataset.")
    layout, device = studio.layout, studio.settings.device
    if not is_machine_known(layout):
        detect_machine(layout, device)
    found = propose_config(layout, dataset, bundle, device)
    told = "Proposed from the dataset and this machine; each reason stands beside its value."
    values = config_to_values(found.config)
    for key, name in STAGES.items():
        if not values[key] and key in found.reasons:  # its controls are not shown
            told += f" The {name} network stays as it is: {found.reasons[key].rstrip('.')}."
    return ConfigFormContent(values=values, reasons=found.reasons, message=told)


def get_default_steps(studio: Studio, dataset: str, bundle: str) -> int:
    """Return for how many steps a network would learn that has learned for none yet."""
    config = propose_config(studio.layout, dataset, bundle, studio.settings.device).config
    return config.schedule.steps or config.diffusion.steps


def findings_and_plan_html(studio: Studio, read_form: Callable[[], Mapping[str, Any]]) -> str:
    """Draw what speaks against what the form says, and what it comes to.

    read_form: returns the fields, or raises StudioError naming the control that is wrong.
    """
    if not dataset_names(studio.layout):
        return NO_DATASET
    try:
        seen = _check_config(studio, read_form())
    except AppError as cause:
        return error_html(cause)
    plan = plan_html(seen.plan) if seen.plan is not None else ""
    return f"{findings_html(seen.findings)}{plan}"


def find_fix(studio: Studio, values: Mapping[str, Any], kind: str) -> PreflightFinding:
    """Return the finding of this kind, with the changes that mend it."""
    for finding in _check_config(studio, values).findings:
        if finding.kind == kind and finding.changes:
            return finding
    raise AppError("That does not stand in the way any more.")


def save_form(studio: Studio, values: Mapping[str, Any]) -> str:
    """Write the configuration; tell where, and show it."""
    config = config_from_values(values)
    path = save_config(studio.layout, config)
    stops = check_config(studio.layout, config, studio.settings.device).blocking_findings
    told = "Saved." if not stops else "Saved, but it cannot be trained as it is: see above."
    where = (
        path.relative_to(studio.layout.root) if path.is_relative_to(studio.layout.root) else path
    )
    return saved_config_html(told, where.as_posix(), path.read_text(encoding="utf-8"))


def start_trial(studio: Studio, values: Mapping[str, Any]) -> str:
    """Put a dry step into the queue; how it stands is shown above, so there is nothing to say."""
    config = config_from_values(values)
    title = f"Try a step with {config.dataset.name}"
    studio.submit(BatchProbeRequest(values=config_to_values(config)), title=title)
    return ""


def find_latest_trial(studio: Studio) -> Job | None:
    """Return the latest dry step."""
    return next((job for job in studio.jobs(limit=50) if job.task == TRIAL_TASK), None)


def get_trial_changes(studio: Studio) -> Mapping[str, Any]:
    """Return the fields to set so that a step fits, as the latest dry step found."""
    trial = find_latest_trial(studio)
    changes: Mapping[str, Any] = (trial.result or {}).get("changes", {}) if trial else {}
    if not changes:
        raise AppError("There is nothing to change: it fits as it is.")
    return changes


def _check_config(studio: Studio, values: Mapping[str, Any]) -> ConfigReport:
    return check_config(studio.layout, config_from_values(values), studio.settings.device)

"""Actions of the configuration form: suggestions, checks, a test run, saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.models import Job
from studio.app.studio import Studio
from studio.model_store.bundles import list_models
from studio.schemas.batch_probe import BatchProbeRequest
from studio.training_runs.config_service import (
    CONFIG_FILE,
    ConfigReport,
    PreflightFinding,
    TrainingPlan,
    check_config,
    config_from_values,
    config_to_values,
    load_config,
    propose_config,
    save_config,
)
from studio.training_runs.machine_facts import detect_machine, is_machine_known
from webui.components.messages import error_html
from webui.components.templates import render
from webui.training.configure_form import DIFFUSION_STEPS_KEY, GPT_STEPS_KEY
from webui.training.configure_view import findings_html, plan_html, saved_config_html

# Any: each field has its own type.

TRIAL_TASK = "try_batch"
STAGE_NAMES: Mapping[str, str] = {GPT_STEPS_KEY: "GPT", DIFFUSION_STEPS_KEY: "Diffusion"}


@dataclass(frozen=True, kw_only=True)
class ConfigFormContent:
    """Values for the form. reasons: why a value is suggested, by its key."""

    values: Mapping[str, Any]
    message: str
    reasons: Mapping[str, str] = field(default_factory=dict)


def list_dataset_names(layout: ProjectPaths) -> list[str]:
    """List the datasets with training clips."""
    return sorted(path.parent.name for path in layout.training.glob("*/train.txt"))


def get_dataset_stamp(layout: ProjectPaths, dataset: Any) -> str:
    """Return a stamp that changes with the training clips of a dataset; "" if there are none."""
    try:
        return str((layout.dataset(str(dataset or "")) / "train.txt").stat().st_mtime_ns)
    except (OSError, AppError):
        return ""


def list_model_names(studio: Studio) -> list[str]:
    """List the models that training can start from, the one of the settings first."""
    names = [bundle.name for bundle in list_models(studio.layout) if bundle.speaks]
    return sorted(names, key=lambda name: name != studio.settings.bundle)


def load_config_form(studio: Studio, dataset: str, model: str) -> ConfigFormContent:
    """Return the saved configuration of a dataset, or suggested values."""
    if not (studio.layout.dataset(dataset) / CONFIG_FILE).is_file():
        return load_suggested_form(studio, dataset, model)
    try:
        config = load_config(studio.layout, dataset)
    except AppError as error:
        content = load_suggested_form(studio, dataset, model)
        message = f"The saved configuration is invalid; these values are suggested. {error}"
        return replace(content, message=message)
    return ConfigFormContent(
        values=config_to_values(config),
        message=f"Loaded the saved configuration of {dataset}. Suggest values replaces it.",
    )


def load_suggested_form(studio: Studio, dataset: str, model: str) -> ConfigFormContent:
    """Return suggested values for a dataset and a model on this machine."""
    if not dataset:
        raise AppError("No dataset selected. Make one under Prepare Dataset.")
    layout, device = studio.layout, studio.settings.device
    if not is_machine_known(layout):
        detect_machine(layout, device)
    proposal = propose_config(layout, dataset, model, device)
    values = config_to_values(proposal.config)
    off = "".join(  # the controls of these stages, which would give the reason, are hidden
        f" {name} training is off. {proposal.reasons[key]}"
        for key, name in STAGE_NAMES.items()
        if not values[key] and key in proposal.reasons
    )
    return ConfigFormContent(
        values=values,
        reasons=proposal.reasons,
        message=f"Suggested from the dataset and this machine, with a reason for each value.{off}",
    )


def get_default_steps(studio: Studio, dataset: str, model: str) -> int:
    """Return the number of steps suggested for a stage that was not trained so far."""
    config = propose_config(studio.layout, dataset, model, studio.settings.device).config
    return config.schedule.steps or config.diffusion.steps


def check_form(
    studio: Studio, read_form: Callable[[], Mapping[str, Any]]
) -> tuple[str, TrainingPlan | None]:
    """Return the findings and the plan as HTML, and the plan where there is one.

    read_form: returns the values, or raises AppError naming the control that is wrong.
    """
    if not list_dataset_names(studio.layout):
        return render("training/no_datasets.html"), None
    try:
        report = _check(studio, read_form())
    except AppError as error:
        return error_html(error), None
    plan = plan_html(report.plan) if report.plan is not None else ""
    return findings_html(report.findings) + plan, report.plan


def find_fix(studio: Studio, values: Mapping[str, Any], kind: str) -> PreflightFinding:
    """Return the finding of a kind that has changes to fix it. Raises AppError if it is gone."""
    for finding in _check(studio, values).findings:
        if finding.kind == kind and finding.changes:
            return finding
    raise AppError("This problem no longer exists.")


def save_form(studio: Studio, values: Mapping[str, Any]) -> str:
    """Write train.yaml; return its path and content as HTML."""
    config = config_from_values(values)
    path, root = save_config(studio.layout, config), studio.layout.root
    is_blocked = check_config(studio.layout, config, studio.settings.device).blocking_findings
    message = "Saved, but it cannot be trained: see the errors above." if is_blocked else "Saved."
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return saved_config_html(message, shown.as_posix(), path.read_text(encoding="utf-8"))


def submit_trial(studio: Studio, values: Mapping[str, Any]) -> None:
    """Queue a test run of one training step."""
    config = config_from_values(values)
    request = BatchProbeRequest(values=config_to_values(config))
    studio.submit(request, title=f"Test run with {config.dataset.name}")


def find_latest_trial(studio: Studio) -> Job | None:
    """Return the latest test run."""
    return next((job for job in studio.jobs(limit=50) if job.task == TRIAL_TASK), None)


def get_trial_changes(studio: Studio) -> Mapping[str, Any]:
    """Return the fields to change so that a step fits, as the latest test run found."""
    trial = find_latest_trial(studio)
    changes: Mapping[str, Any] = (trial.result or {}).get("changes", {}) if trial else {}
    if not changes:
        raise AppError("Nothing to change: the batch size fits.")
    return changes


def _check(studio: Studio, values: Mapping[str, Any]) -> ConfigReport:
    return check_config(studio.layout, config_from_values(values), studio.settings.device)

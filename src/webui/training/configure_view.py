"""HTML of a training configuration: findings, plan, test run and the saved file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.formatting import format_bytes, format_count, format_duration
from jobs.models import Job
from studio.training_runs.config_service import PreflightFinding, TrainingPlan
from webui.components.charts import (
    ChartLine,
    LineChart,
    chart_text_html,
    format_number,
    summarize_chart,
)
from webui.components.job_card import JOB_STATE_LABELS, failure_html, progress_bar_html
from webui.components.templates import render

# Any: results of jobs are plain values.

LEVELS: Mapping[str, tuple[str, str, str]] = {  # class, sign, label
    "stop": ("fault", "✕", "Error"),
    "warn": ("note", "!", "Warning"),
}
FIX_LINKS: Mapping[str, tuple[str, str]] = {  # id of a tab, label
    "prepare": ("prepare", "Go to Prepare Dataset"),
    "models": ("settings", "Go to Settings"),
}


def plan_html(plan: TrainingPlan) -> str:
    """Render the facts of a plan, and its learning rate as text."""
    text = chart_text_html([summarize_chart(build_rate_chart(plan))])
    return render("training/plan.html", facts=format_plan_facts(plan)) + text


def build_rate_chart(plan: TrainingPlan | None) -> LineChart:
    """Return the chart of the learning rate; without points where there is no plan."""
    gpt = plan.curve if plan is not None and plan.gpt_steps else ()
    diffusion = plan.diffusion_curve if plan is not None and plan.diffusion_steps else ()
    lines = [
        ChartLine(name="GPT", points=gpt),
        ChartLine(name="Diffusion", points=diffusion, style="validation"),
    ]
    return LineChart(title="Learning rate", lines=lines, y_min=0)


def format_plan_facts(plan: TrainingPlan) -> dict[str, str]:
    """Return steps, epochs, checkpoints, disk space and time of a run."""
    stages = {"GPT": plan.gpt_steps, "diffusion": plan.diffusion_steps}
    trained = {name: count for name, count in stages.items() if count}
    epochs = {"GPT": plan.epochs, "diffusion": plan.diffusion_epochs}
    if len(trained) > 1:
        steps = ", ".join(f"{count:,} {name}" for name, count in trained.items())
        epoch_text = ", ".join(f"{format_number(epochs[name])} {name}" for name in trained)
    else:
        steps = next(iter(trained), "")
        per_epoch = format_count(plan.steps_per_epoch, "step")
        epoch_text = f"{format_number(epochs[steps])} of {per_epoch} each" if trained else ""
    time = "unknown; press Test run" if plan.seconds is None else format_duration(plan.seconds)
    return {
        "Steps": f"{plan.steps:,} ({steps})",
        "Epochs": epoch_text,
        "Checkpoints": f"{len(plan.checkpoints):,} × {format_bytes(plan.checkpoint_bytes)}",
        "Disk space": f"up to {format_bytes(plan.disk_bytes)}",
        "Time": time,
    }


def findings_html(findings: Sequence[PreflightFinding]) -> str:
    """Render the preflight findings, errors first, each with a button that fixes it."""
    ordered = sorted(findings, key=lambda finding: finding.level != "stop")
    return render("training/findings.html", findings=ordered, LEVELS=LEVELS, FIX_LINKS=FIX_LINKS)


def trial_html(trial: Job | None) -> str:
    """Render the latest test run: its progress, failure or result."""
    if trial is None:
        return ""
    body = ""
    if trial.failure is not None:
        body = failure_html(trial)
    elif trial.state == "running":
        body = progress_bar_html(trial)
    is_done = trial.state == "done" and trial.result is not None
    return render(
        "training/trial.html",
        trial=trial,
        badge=JOB_STATE_LABELS[trial.state],
        body=body,
        facts=_get_trial_facts(trial.result or {}) if is_done else None,
    )


def _get_trial_facts(result: Mapping[str, Any]) -> dict[str, str]:
    def number(key: str, unit: str = "") -> str:  # 0 for a network that is not trained
        return f"{format_number(result[key])}{unit}" if result[key] else ""

    return {
        "Batch size": number("batch"),
        "Time per step": number("gpt_s", " s"),
        "Batch size (diffusion)": number("diffusion_batch"),
        "Time per step (diffusion)": number("diffusion_s", " s"),
        "Memory": format_bytes(result["memory"]),
        "Device": str(result["device"]),
        "Whole run": format_duration(result["seconds"]) if result["seconds"] else "",
    }


def saved_config_html(message: str, path: str, text: str) -> str:
    """Render where a configuration was saved, and its content."""
    return render("training/saved.html", message=message, path=path, text=text)

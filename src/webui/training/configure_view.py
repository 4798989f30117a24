"""What a configuration comes to: its plan, what speaks against it, and the file of it.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

from core.formatting import format_bytes, format_count, format_duration
from jobs.models import Job
from studio.training_runs.config_service import PreflightFinding, TrainingPlan
from webui.components.audio_player import copy_button
from webui.components.job_card import JOB_STATE_LABELS, failure_html, progress_bar_html
from webui.components.line_chart import ChartLine, LineChart, format_number, line_chart_html

LEVEL_ICONS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {"stop": ("fault", "✕", "Must be mended"), "warn": ("note", "!", "Worth a look")}
)


FIX_LINKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"prepare": ("prepare", "Go to Prepare Dataset"), "models": ("settings", "Go to Settings")}
)


def plan_html(plan: TrainingPlan) -> str:
    """Draw what is going to happen: how much, how long, and how the learning rate goes."""
    told = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd></div>"
        for name, value in format_plan_facts(plan).items()
    )
    lines = [ChartLine(name="GPT", points=plan.curve)]
    if plan.diffusion_curve:
        lines.append(ChartLine(name="Diffusion", points=plan.diffusion_curve, style="other"))
    picture = line_chart_html(
        LineChart(key="rate", title="Learning rate over the run", lines=lines, y_min=0)
    )
    return f'<dl class="facts" data-key="facts">{told}</dl>{picture}'


def format_plan_facts(plan: TrainingPlan) -> dict[str, str]:
    """Return what a run comes to, in words."""
    parts = {"GPT": plan.gpt_steps, "diffusion": plan.diffusion_steps}
    learn = {name: count for name, count in parts.items() if count}
    steps = ", ".join(f"{count:,} {name}" for name, count in learn.items())
    facts = {"Steps": f"{plan.steps:,} ({steps if len(learn) > 1 else next(iter(learn), '')})"}
    epochs = {"GPT": plan.epochs, "diffusion": plan.diffusion_epochs}
    each = format_count(plan.steps_per_epoch, "step")
    if len(learn) > 1:
        facts["Epochs"] = ", ".join(f"{format_number(epochs[name])} {name}" for name in learn)
    elif learn:
        facts["Epochs"] = f"{format_number(epochs[next(iter(learn))])}, of {each} each"
    facts["Checkpoints"] = f"{len(plan.checkpoints):,} of {format_bytes(plan.checkpoint_bytes)}"
    facts["Disk"] = f"{format_bytes(plan.disk_bytes)} at most"
    known = plan.seconds is not None
    facts["Time"] = format_duration(plan.seconds or 0) if known else "unknown; press Try a step"
    return facts


def findings_html(findings: Sequence[PreflightFinding]) -> str:
    """Draw what the pre-flight found, the gravest first, each with a button that mends it."""
    if not findings:
        return (
            '<p class="note" role="status" data-key="findings">Nothing speaks against this '
            "configuration.</p>"
        )
    ordered = sorted(findings, key=lambda finding: finding.level != "stop")
    drawn = "".join(_render_finding(finding) for finding in ordered)
    return f'<ul class="findings" data-key="findings" aria-label="Findings">{drawn}</ul>'


def _render_finding(finding: PreflightFinding) -> str:
    look, sign, word = LEVEL_ICONS[finding.level]
    return (
        f'<li class="{look}"><span class="sign" aria-hidden="true">{sign}</span> '
        f"<strong>{word}: {escape(finding.what)}</strong> {escape(finding.why)}"
        f'<div class="fix"><span class="quiet">{escape(finding.fix)}</span>'
        f"{_render_fix_button(finding)}"
        "</div></li>"
    )


def _render_fix_button(finding: PreflightFinding) -> str:
    """Draw the button that mends it here, or goes to where it is mended."""
    label = escape(f"Fix it: {finding.fix}")
    if finding.changes:
        act, value, word = "fix", finding.kind, "Fix it"
    elif finding.place in FIX_LINKS:
        act, (value, word) = "go", FIX_LINKS[finding.place]
        label = word
    else:
        return ""
    return (
        f'<button type="button" class="small" data-act="{act}" data-value="{escape(value)}" '
        f'aria-label="{label}">{word}</button>'
    )


def trial_html(trial: Job | None) -> str:
    """Draw the latest dry step: how far it is, or what it found."""
    if trial is None:
        return ""
    told, sign = JOB_STATE_LABELS[trial.state]
    head = (
        f'<header><span class="state {trial.state}"><span aria-hidden="true">{sign}</span> {told}'
        f"</span> <h2>{escape(trial.title)}</h2></header>"
    )
    body = "".join(f'<p class="warning">{escape(word)}</p>' for word in trial.warnings)
    if trial.failure is not None:
        body += failure_html(trial)
    elif trial.state == "running":
        body += progress_bar_html(trial)
    elif trial.state == "done" and trial.result is not None:
        body += _render_trial_result(trial.result)
    return f'<section class="job run" data-key="{escape(trial.id)}">{head}{body}</section>'


def _render_trial_result(result: Mapping[str, Any]) -> str:
    facts = {
        "Clips at once": _format_value(result["batch"], ""),
        "Per step": _format_value(result["gpt_s"], " s"),
        "Stretches at once (diffusion)": _format_value(result["diffusion_batch"], ""),
        "Per step (diffusion)": _format_value(result["diffusion_s"], " s"),
        "Memory": format_bytes(result["memory"]),
        "Device": str(result["device"]),
        "Whole run": format_duration(result["seconds"]) if result["seconds"] else "",
    }
    told = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
        if value
    )
    fits = (
        '<div class="buttons"><button type="button" class="small" data-act="fit" data-value="">'
        "Set the batch that fits</button></div>"
        if result["changes"]
        else '<p class="quiet">It fits as it is.</p>'
    )
    return f'<dl class="facts">{told}</dl>{fits}'


def _format_value(figure: float, unit: str) -> str:
    """Write a figure; nothing for a network that does not learn."""
    return f"{format_number(figure)}{unit}" if figure else ""


def saved_config_html(told: str, path: str, text: str) -> str:
    """Say where a configuration was written, and show it to be read and copied."""
    return (
        f'<p class="note" role="status">{escape(told)}</p>'
        f'<details class="file" open><summary>{escape(path)}</summary>'
        f'<div class="buttons">{copy_button("Copy", text)}</div>'
        '<pre tabindex="0" role="region" aria-label="The configuration">'
        f"{escape(text)}</pre></details>"
    )

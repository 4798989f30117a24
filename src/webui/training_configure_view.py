"""What a configuration comes to: its plan, what speaks against it, and the file of it.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

from jobs.job import Job
from studio.configuring import Finding, Plan
from studio.system import gigabytes
from webui.clips import copy_button
from webui.job_cards import STATES, failure_told, progress_bar
from webui.training_curves import Line, Plot, number_told, plot_html
from webui.words import counted, seconds_told

SIGNS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {"stop": ("fault", "✕", "Must be mended"), "warn": ("note", "!", "Worth a look")}
)


PLACES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"prepare": ("prepare", "Go to Prepare Dataset"), "models": ("settings", "Go to Settings")}
)


def plan_html(plan: Plan) -> str:
    """Draw what is going to happen: how much, how long, and how the learning rate goes."""
    told = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts_of(plan).items()
    )
    lines = [Line(name="GPT", points=plan.curve)]
    if plan.diffusion_curve:
        lines.append(Line(name="Diffusion", points=plan.diffusion_curve, look="other"))
    picture = plot_html(Plot(key="rate", title="Learning rate over the run", lines=lines, floor=0))
    return f'<dl class="facts" data-key="facts">{told}</dl>{picture}'


def facts_of(plan: Plan) -> dict[str, str]:
    """Return what a run comes to, in words."""
    parts = {"GPT": plan.gpt_steps, "diffusion": plan.diffusion_steps}
    learn = {name: count for name, count in parts.items() if count}
    steps = ", ".join(f"{count:,} {name}" for name, count in learn.items())
    facts = {"Steps": f"{plan.steps:,} ({steps if len(learn) > 1 else next(iter(learn), '')})"}
    epochs = {"GPT": plan.epochs, "diffusion": plan.diffusion_epochs}
    each = counted(plan.steps_per_epoch, "step")
    if len(learn) > 1:
        facts["Epochs"] = ", ".join(f"{number_told(epochs[name])} {name}" for name in learn)
    elif learn:
        facts["Epochs"] = f"{number_told(epochs[next(iter(learn))])}, of {each} each"
    facts["Checkpoints"] = f"{len(plan.checkpoints):,} of {gigabytes(plan.checkpoint_bytes)}"
    facts["Disk"] = f"{gigabytes(plan.disk_bytes)} at most"
    known = plan.seconds is not None
    facts["Time"] = seconds_told(plan.seconds or 0) if known else "unknown; press Try a step"
    return facts


def findings_html(findings: Sequence[Finding]) -> str:
    """Draw what the pre-flight found, the gravest first, each with a button that mends it."""
    if not findings:
        return (
            '<p class="note" role="status" data-key="findings">Nothing speaks against this '
            "configuration.</p>"
        )
    ordered = sorted(findings, key=lambda finding: finding.level != "stop")
    drawn = "".join(_finding(finding) for finding in ordered)
    return f'<ul class="findings" data-key="findings" aria-label="Findings">{drawn}</ul>'


def _finding(finding: Finding) -> str:
    look, sign, word = SIGNS[finding.level]
    return (
        f'<li class="{look}"><span class="sign" aria-hidden="true">{sign}</span> '
        f"<strong>{word}: {escape(finding.what)}</strong> {escape(finding.why)}"
        f'<div class="fix"><span class="quiet">{escape(finding.fix)}</span>{_way_out(finding)}'
        "</div></li>"
    )


def _way_out(finding: Finding) -> str:
    """Draw the button that mends it here, or goes to where it is mended."""
    label = escape(f"Fix it: {finding.fix}")
    if finding.changes:
        act, value, word = "fix", finding.kind, "Fix it"
    elif finding.place in PLACES:
        act, (value, word) = "go", PLACES[finding.place]
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
    told, sign = STATES[trial.state]
    head = (
        f'<header><span class="state {trial.state}"><span aria-hidden="true">{sign}</span> {told}'
        f"</span> <h2>{escape(trial.title)}</h2></header>"
    )
    body = "".join(f'<p class="warning">{escape(word)}</p>' for word in trial.warnings)
    if trial.failure is not None:
        body += failure_told(trial)
    elif trial.state == "running":
        body += progress_bar(trial)
    elif trial.state == "done" and trial.result is not None:
        body += _found(trial.result)
    return f'<section class="job run" data-key="{escape(trial.id)}">{head}{body}</section>'


def _found(result: Mapping[str, Any]) -> str:
    facts = {
        "Clips at once": _told(result["batch"], ""),
        "Per step": _told(result["gpt_s"], " s"),
        "Stretches at once (diffusion)": _told(result["diffusion_batch"], ""),
        "Per step (diffusion)": _told(result["diffusion_s"], " s"),
        "Memory": gigabytes(result["memory"]),
        "Device": str(result["device"]),
        "Whole run": seconds_told(result["seconds"]) if result["seconds"] else "",
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


def _told(figure: float, unit: str) -> str:
    """Write a figure; nothing for a network that does not learn."""
    return f"{number_told(figure)}{unit}" if figure else ""


def saved_html(told: str, path: str, text: str) -> str:
    """Say where a configuration was written, and show it to be read and copied."""
    return (
        f'<p class="note" role="status">{escape(told)}</p>'
        f'<details class="file" open><summary>{escape(path)}</summary>'
        f'<div class="buttons">{copy_button("Copy", text)}</div>'
        '<pre tabindex="0" role="region" aria-label="The configuration">'
        f"{escape(text)}</pre></details>"
    )

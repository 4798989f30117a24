"""testudo configure: propose, change, check and save the configuration of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer

from cli.options import JsonFlag, add_command
from cli.output import create_reporter, emit, print_line
from core.formatting import format_bytes
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.schemas.batch_probe import BatchProbeRequest, BatchProbeResult
from studio.training_runs import config_service as configuring
from studio.training_runs.config_service import ConfigReport, FinetuneConfig
from studio.training_runs.machine_facts import detect_machine, is_machine_known

# Any: each field of a configuration has its own type; modules that import torch.

SHORT_FLAGS = {  # flags for what is set most often, and the fields of the GPT that they set
    "steps": "schedule.steps",
    "batch": "optimizer.batch",
    "rate": "optimizer.rate",
}
STAGE_HELP = "of the GPT, or of the diffusion decoder if only that is trained."


StartModelOption = Annotated[
    str, typer.Option("--bundle", "--model", help="Model to start from; default the starter.")
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field of the configuration, such as optimizer.rate=1e-4; repeatable.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureFlags:
    """The arguments of `configure`."""

    dataset: Annotated[str, typer.Argument(help="The dataset: a folder under training.")]
    bundle: StartModelOption = ""
    keep: Annotated[bool, typer.Option("--keep", help="Start from the saved train.yaml.")] = False
    steps: Annotated[str | None, typer.Option(metavar="N", help=f"Training steps {STAGE_HELP}")] = (
        None
    )
    batch: Annotated[str | None, typer.Option(metavar="N", help=f"Batch size {STAGE_HELP}")] = None
    rate: Annotated[str | None, typer.Option(metavar="X", help=f"Learning rate {STAGE_HELP}")] = (
        None
    )
    diffusion_steps: Annotated[str | None, typer.Option(metavar="N", help="diffusion.steps")] = None
    changes: ChangesOption = None
    fix: Annotated[bool, typer.Option("--fix", help="Apply the suggested fixes.")] = False
    probe: Annotated[
        bool,
        typer.Option("--try", help="Test run: measure the batch size that fits and step times."),
    ] = False
    show: Annotated[bool, typer.Option("--show", help="Print the file without saving it.")] = False


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `configure` to the program."""
    add_command(app, name, help)(run)


def run(flags: ConfigureFlags, as_json: JsonFlag = False) -> int:
    """Return 2 where a finding blocks the training."""
    studio = Studio.open()
    layout, device = studio.layout, studio.settings.device
    if not is_machine_known(layout):
        detect_machine(layout)
    reasons: dict[str, str] = {}
    if flags.keep:
        config = configuring.load_config(layout, flags.dataset)
    else:
        proposal = configuring.propose_config(layout, flags.dataset, flags.bundle, device)
        config, reasons = proposal.config, dict(proposal.reasons)
    changes = _parse_changes(flags, config)
    config = configuring.apply_changes(config, changes)
    checked = configuring.check_config(layout, config, device)
    if flags.fix:
        checked = _apply_fixes(studio, checked)
    measured = None
    if flags.probe and not checked.blocking_findings:
        measured = _probe(studio, checked, as_json)
        config = configuring.apply_changes(checked.config, measured.changes)
        checked = configuring.check_config(layout, config, device)
    saves = not flags.show and not checked.blocking_findings
    path = str(configuring.save_config(layout, checked.config)) if saves else ""
    if as_json:
        emit({"path": path, "config": checked.config, "plan": checked.plan, "tried": measured,
              "findings": checked.findings, "reasons": reasons}, "", True)  # fmt: skip
    elif flags.show:
        print_line(configuring.format_config_yaml(checked.config))
        print_config_report(checked, {}, measured)
    else:
        proposed = {key: why for key, why in reasons.items() if key not in changes}
        print_config_report(checked, proposed, measured)
        print_line(f"saved        {path}" if path else "Nothing was saved.")
    return 2 if checked.blocking_findings else 0


def print_config_report(
    checked: ConfigReport, reasons: Mapping[str, str], measured: BatchProbeResult | None
) -> None:
    """Print the plan of a training and its findings."""
    values = configuring.config_to_values(checked.config)
    for key, why in reasons.items():
        print_line(f"{key:20} {_format_value(values[key])}   {why}")
    for line in _format_probe(measured) if measured is not None else ():
        print_line(line)
    for line in _format_plan(checked):
        print_line(line)
    for finding in checked.findings:
        sign = "STOP" if finding.level == "stop" else "note"
        print_line(f"{sign}  {finding.what} {finding.why}")
        print_line(f"      {finding.fix}")


def _probe(studio: Studio, checked: ConfigReport, as_json: bool) -> BatchProbeResult:
    task = import_module("studio.workers.probe_batch")
    request = BatchProbeRequest(values=configuring.config_to_values(checked.config))
    report = create_reporter(as_json)
    result: BatchProbeResult = task.probe_batch_size(studio, request, report)
    return result


def _format_probe(measured: BatchProbeResult) -> Iterator[str]:
    parts = [
        (measured.batch, "clips", measured.gpt_s),
        (measured.diffusion_batch, "segments", measured.diffusion_s),
    ]
    facts = [
        f"{count} {what} at once, {spent:.2f} s a step" for count, what, spent in parts if count
    ]
    yield f"tried        {'; '.join(facts)}; {format_bytes(measured.memory)} on {measured.device}"
    yield f"GPT loss     {measured.gpt_loss:.2f} (random guessing: {measured.chance:.2f})"


def _format_plan(checked: ConfigReport) -> Iterator[str]:
    plan, facts = checked.plan, checked.facts
    if plan is None or facts is None:
        return
    yield (
        f"dataset      {facts.clips} clips, {facts.seconds / 60:.1f} minutes; "
        f"{facts.validation_clips} for validation"
    )
    yield (
        f"steps        {plan.steps:,} ({plan.gpt_steps:,} GPT, {plan.diffusion_steps:,} "
        f"diffusion), {plan.clips_per_step} clips each"
    )
    yield (
        f"epochs       {plan.epochs or plan.diffusion_epochs:.1f}, "
        f"each of about {plan.steps_per_epoch} steps"
    )
    size = format_bytes(plan.checkpoint_bytes)
    yield f"checkpoints  {len(plan.checkpoints)}, of up to {size}"
    yield f"disk         up to {format_bytes(plan.disk_bytes)}"
    yield f"time         {_format_duration(plan.seconds)}"


def _apply_fixes(studio: Studio, checked: ConfigReport) -> ConfigReport:
    """Apply what blocking findings propose, until none of them proposes anything new."""
    for _ in range(len(configuring.config_to_values(checked.config))):
        changes = {
            key: value for item in checked.blocking_findings for key, value in item.changes.items()
        }
        config = configuring.apply_changes(checked.config, changes)
        if config == checked.config:
            break
        checked = configuring.check_config(studio.layout, config, studio.settings.device)
    return checked


def _parse_changes(flags: ConfigureFlags, config: FinetuneConfig) -> dict[str, Any]:
    """Return the fields that the command line sets; --set wins over the short flags."""
    changes = configuring.parse_changes(flags.changes or [])
    trains_gpt = changes.get("schedule.steps", config.schedule.steps) or flags.diffusion_steps
    given = {
        key if trains_gpt else f"diffusion.{name}": getattr(flags, name)
        for name, key in SHORT_FLAGS.items()
    }
    if flags.diffusion_steps is not None:
        given["diffusion.steps"] = flags.diffusion_steps
    short = [f"{key}={value}" for key, value in given.items() if value is not None]
    return {**configuring.parse_changes(short), **changes}


def _format_value(value: Any) -> str:
    plain = to_dict(value)
    return f"{plain:g}" if isinstance(plain, float) else str(plain)


def _format_duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet: --try measures it"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"

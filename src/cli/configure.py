"""testudo configure: propose, change, check and save the configuration of a training."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from cli.options import Parser
from cli.output import create_reporter, print_json, print_line
from core.formatting import format_bytes
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.schemas.batch_probe import BatchProbeRequest, BatchProbeResult
from studio.training_runs import config_service as configuring
from studio.training_runs.config_service import ConfigReport, PreflightFinding
from studio.training_runs.machine_facts import detect_machine, is_machine_known

# Any: each field of a configuration has its own type; modules that import torch.

SHORT_FLAGS = {  # flags for what is set most often
    "steps": "schedule.steps",
    "batch": "optimizer.batch",
    "rate": "optimizer.rate",
    "diffusion_steps": "diffusion.steps",
}


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "configure", help="make train.yaml for a dataset, and say what the training comes to"
    )
    parser.add_argument("dataset", metavar="DATASET", help="the dataset: a folder under training")
    parser.add_argument("--bundle", default="", help="the model to begin with")
    parser.add_argument("--keep", action="store_true", help="begin from the saved train.yaml")
    for name, key in SHORT_FLAGS.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, metavar="N", help=f"short for --set {key}=N")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes",
        help="set any field, such as optimizer.rate=1e-4; may be given several times",
    )  # fmt: skip
    parser.add_argument("--fix", action="store_true", help="mend what can be mended by itself")
    parser.add_argument("--try", action="store_true", dest="dry", help="take a few real steps: "
                        "find the batch that fits and how long it takes")  # fmt: skip
    parser.add_argument("--show", action="store_true", help="print the file, and save nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Make, check and save a configuration; 2 where the training would end badly."""
    studio = Studio.open()
    layout, device = studio.layout, studio.settings.device
    if not is_machine_known(layout):
        detect_machine(layout)
    if parsed.keep:
        config, reasons = configuring.load_config(layout, parsed.dataset), dict[str, str]()
    else:
        proposal = configuring.propose_config(layout, parsed.dataset, parsed.bundle, device)
        config, reasons = proposal.config, dict(proposal.reasons)
    changes = _parse_changes(parsed)
    config = configuring.apply_changes(config, changes)
    seen = configuring.check_config(layout, config, device)
    if parsed.fix:
        seen = _apply_fixes(studio, seen)
    tried = None
    if parsed.dry and not seen.blocking_findings:
        work = import_module("studio.workers.probe_batch")
        wish = BatchProbeRequest(values=configuring.config_to_values(seen.config))
        tried = work.probe_batch_size(layout, wish, device, create_reporter(parsed.json))
        seen = configuring.check_config(
            layout, configuring.apply_changes(seen.config, tried.changes), device
        )
    saves = not parsed.show and not seen.blocking_findings
    path = str(configuring.save_config(layout, seen.config)) if saves else ""
    if parsed.json:
        print_json({"path": path, "config": seen.config, "plan": seen.plan, "tried": tried,
                  "findings": seen.findings, "reasons": reasons})  # fmt: skip
    elif parsed.show:
        print_line(configuring.format_config_yaml(seen.config))
        print_config_report(seen, {}, tried)
    else:
        unset = {key: why for key, why in reasons.items() if key not in changes}
        print_config_report(seen, unset, tried)
        print_line(f"saved        {path}" if path else "Nothing was saved.")
    return 2 if seen.blocking_findings else 0


def print_config_report(
    seen: ConfigReport, reasons: Mapping[str, str], tried: BatchProbeResult | None
) -> None:
    """Print what the training comes to and what is wrong with it."""
    values = configuring.config_to_values(seen.config)
    for key, why in reasons.items():
        print_line(f"{key:20} {_format_value(values[key])}   {why}")
    if tried is not None:
        parts = [(tried.batch, "clips", tried.gpt_s),
                 (tried.diffusion_batch, "stretches", tried.diffusion_s)]  # fmt: skip
        told = [f"{count} {what} at once, {spent:.2f} s a step"
                for count, what, spent in parts if count]  # fmt: skip
        print_line(
            f"tried        {'; '.join(told)}; {format_bytes(tried.memory)} on {tried.device}"
        )
        print_line(f"GPT loss     {tried.gpt_loss:.2f} (blind guessing: {tried.chance:.2f})")
    plan = seen.plan
    if plan is not None and seen.facts is not None:
        facts = seen.facts
        print_line(f"dataset      {facts.clips} clips, {facts.seconds / 60:.1f} minutes; "
            f"{facts.validation_clips} to judge by")  # fmt: skip
        print_line(f"steps        {plan.steps:,} ({plan.gpt_steps:,} GPT, {plan.diffusion_steps:,} "
            f"diffusion), {plan.clips_per_step} clips each")  # fmt: skip
        print_line(f"epochs       {plan.epochs or plan.diffusion_epochs:.1f}, "
            f"each of about {plan.steps_per_epoch} steps")  # fmt: skip
        print_line(
            f"checkpoints  {len(plan.checkpoints)}, of up to {format_bytes(plan.checkpoint_bytes)}"
        )
        print_line(f"disk         up to {format_bytes(plan.disk_bytes)}")
        print_line(f"time         {_format_duration(plan.seconds)}")
    for finding in seen.findings:
        _print_finding(finding)


def _print_finding(finding: PreflightFinding) -> None:
    sign = "STOP" if finding.level == "stop" else "note"
    print_line(f"{sign}  {finding.what} {finding.why}")
    print_line(f"      {finding.fix}")


def _apply_fixes(studio: Studio, seen: ConfigReport) -> ConfigReport:
    """Set what the findings that stop the run propose, until none of them proposes anything new."""
    for _ in range(len(configuring.config_to_values(seen.config))):
        changes = {
            key: value for item in seen.blocking_findings for key, value in item.changes.items()
        }
        config = configuring.apply_changes(seen.config, changes)
        if config == seen.config:
            break
        seen = configuring.check_config(studio.layout, config, studio.settings.device)
    return seen


def _parse_changes(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line sets, the long form last."""
    short = [f"{key}={getattr(parsed, name)}" for name, key in SHORT_FLAGS.items()
             if getattr(parsed, name) is not None]  # fmt: skip
    return configuring.parse_changes([*short, *parsed.changes])


def _format_value(value: Any) -> str:
    plain = to_dict(value)
    return f"{plain:g}" if isinstance(plain, float) else str(plain)


def _format_duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet: --try measures it"
    minutes = round(seconds / 60)
    return (
        f"about {minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"about {minutes} min"
    )

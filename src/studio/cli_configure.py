"""testudo configure: propose, change, check and save the configuration of a training."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jobs.plain import to_plain
from studio import configuring
from studio.cli_flags import Parser
from studio.cli_output import reporter, say, say_json
from studio.configuring import Examined, Finding
from studio.configuring_machine import ask_machine, is_known
from studio.configuring_try import TriedBatch, TryBatch
from studio.studio import Studio
from studio.system import gigabytes

# Any: each field of a configuration has its own type; modules that import torch.

SHORT = {  # flags for what is set most often
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
    for name, key in SHORT.items():
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
    if not is_known(layout):
        ask_machine(layout)
    if parsed.keep:
        config, reasons = configuring.read(layout, parsed.dataset), dict[str, str]()
    else:
        proposal = configuring.propose(layout, parsed.dataset, parsed.bundle, device)
        config, reasons = proposal.config, dict(proposal.reasons)
    changes = _changes(parsed)
    config = configuring.changed(config, changes)
    seen = configuring.examine(layout, config, device)
    if parsed.fix:
        seen = _mended(studio, seen)
    tried = None
    if parsed.dry and not seen.stops:
        work = import_module("studio.tasks.try_batch")
        wish = TryBatch(values=configuring.values_of(seen.config))
        tried = work.tried(layout, wish, device, reporter(parsed.json))
        seen = configuring.examine(layout, configuring.changed(seen.config, tried.changes), device)
    saves = not parsed.show and not seen.stops
    path = str(configuring.save(layout, seen.config)) if saves else ""
    if parsed.json:
        say_json({"path": path, "config": seen.config, "plan": seen.plan, "tried": tried,
                  "findings": seen.findings, "reasons": reasons})  # fmt: skip
    elif parsed.show:
        say(configuring.told(seen.config))
        tell(seen, {}, tried)
    else:
        unset = {key: why for key, why in reasons.items() if key not in changes}
        tell(seen, unset, tried)
        say(f"saved        {path}" if path else "Nothing was saved.")
    return 2 if seen.stops else 0


def tell(seen: Examined, reasons: Mapping[str, str], tried: TriedBatch | None) -> None:
    """Print what the training comes to and what is wrong with it."""
    values = configuring.values_of(seen.config)
    for key, why in reasons.items():
        say(f"{key:20} {_value(values[key])}   {why}")
    if tried is not None:
        parts = [(tried.batch, "clips", tried.gpt_s),
                 (tried.diffusion_batch, "stretches", tried.diffusion_s)]  # fmt: skip
        told = [f"{count} {what} at once, {spent:.2f} s a step"
                for count, what, spent in parts if count]  # fmt: skip
        say(f"tried        {'; '.join(told)}; {gigabytes(tried.memory)} on {tried.device}")
        say(f"GPT loss     {tried.gpt_loss:.2f} (blind guessing: {tried.chance:.2f})")
    plan = seen.plan
    if plan is not None and seen.facts is not None:
        facts = seen.facts
        say(f"dataset      {facts.clips} clips, {facts.seconds / 60:.1f} minutes; "
            f"{facts.validation_clips} to judge by")  # fmt: skip
        say(f"steps        {plan.steps:,} ({plan.gpt_steps:,} GPT, {plan.diffusion_steps:,} "
            f"diffusion), {plan.clips_per_step} clips each")  # fmt: skip
        say(f"epochs       {plan.epochs or plan.diffusion_epochs:.1f}, "
            f"each of about {plan.steps_per_epoch} steps")  # fmt: skip
        say(f"checkpoints  {len(plan.checkpoints)}, of up to {gigabytes(plan.checkpoint_bytes)}")
        say(f"disk         up to {gigabytes(plan.disk_bytes)}")
        say(f"time         {_duration(plan.seconds)}")
    for finding in seen.findings:
        _tell_finding(finding)


def _tell_finding(finding: Finding) -> None:
    sign = "STOP" if finding.level == "stop" else "note"
    say(f"{sign}  {finding.what} {finding.why}")
    say(f"      {finding.fix}")


def _mended(studio: Studio, seen: Examined) -> Examined:
    """Set what the findings that stop the run propose, until none of them proposes anything new."""
    for _ in range(len(configuring.values_of(seen.config))):
        changes = {key: value for item in seen.stops for key, value in item.changes.items()}
        config = configuring.changed(seen.config, changes)
        if config == seen.config:
            break
        seen = configuring.examine(studio.layout, config, studio.settings.device)
    return seen


def _changes(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line sets, the long form last."""
    short = [f"{key}={getattr(parsed, name)}" for name, key in SHORT.items()
             if getattr(parsed, name) is not None]  # fmt: skip
    return configuring.changes_from([*short, *parsed.changes])


def _value(value: Any) -> str:
    plain = to_plain(value)
    return f"{plain:g}" if isinstance(plain, float) else str(plain)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet: --try measures it"
    minutes = round(seconds / 60)
    return (
        f"about {minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"about {minutes} min"
    )

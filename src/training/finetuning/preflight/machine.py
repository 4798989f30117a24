"""Whether this machine has the room and the parts that a run needs. Light."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from training.finetuning.config.facts import DatasetFacts, MachineFacts
from training.finetuning.config.memory_estimate import estimate_memory_bytes
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.config.suggest import list_checkpoint_steps, plan_training
from training.finetuning.preflight.findings import PreflightFacts, PreflightFinding, PreflightInput

# Any: a change sets a field to a value of its own type.


def check_machine(situation: PreflightInput, seen: PreflightFacts) -> Iterator[PreflightFinding]:
    """Say what the machine lacks for this configuration."""
    config, machine = situation.config, situation.machine
    facts = seen.clips.to_dataset_facts(config.dataset.name)
    yield from _check_precision(config, machine)
    yield from _check_processes(config, machine)
    yield from _check_memory(situation, seen, facts)
    yield from _check_disk(situation, seen, facts)
    if config.checkpoints.every > config.total_steps:
        yield PreflightFinding(
            level="warn",
            kind="no_checkpoint",
            what=f"A checkpoint every {config.checkpoints.every:,} steps never comes: there are "
            f"{config.total_steps:,}.",
            why="Then only the end is kept, and nothing can be heard before it.",
            fix="Make one more often.",
            changes={"checkpoints.every": max(1, config.total_steps // 5)},
        )


def get_device_type(config: FinetuneConfig, machine: MachineFacts) -> str:
    """Return the kind of device that a run would use: "cpu", "cuda" …"""
    return (config.machine.device or machine.device).split(":")[0].lower()


def _check_precision(config: FinetuneConfig, machine: MachineFacts) -> Iterator[PreflightFinding]:
    device = get_device_type(config, machine)
    if config.optimizer.precision == "fp16" and device == "cpu":
        yield _make_blocking_finding(
            "fp16",
            "fp16 does not work on a processor.",
            "Only GPUs train with it.",
            {"optimizer.precision": "fp32"},
        )
    if config.optimizer.eight_bit and device != "cuda":
        yield _make_blocking_finding(
            "eight_bit",
            "The 8-bit optimizer needs an NVIDIA GPU.",
            f"This run would use {device}.",
            {"optimizer.eight_bit": False},
        )
    elif config.optimizer.eight_bit and find_spec("bitsandbytes") is None:
        yield _make_blocking_finding(
            "eight_bit",
            "The 8-bit optimizer is not installed.",
            "`.venv/bin/python -m pip install bitsandbytes` brings it.",
            {"optimizer.eight_bit": False},
        )


def _check_processes(config: FinetuneConfig, machine: MachineFacts) -> Iterator[PreflightFinding]:
    processes, device = config.machine.processes, get_device_type(config, machine)
    room = machine.cores if device == "cpu" else machine.gpus
    if processes <= max(1, room):
        return
    kind = "cores" if device == "cpu" else "GPUs"
    yield PreflightFinding(
        level="warn" if device == "cpu" else "stop",
        kind="processes",
        what=f"{processes} processes are more than this machine has {kind}.",
        why=f"It has {room}.",
        fix="Use one process.",
        changes={"machine.processes": 1},
    )


def _check_memory(
    situation: PreflightInput, seen: PreflightFacts, facts: DatasetFacts
) -> Iterator[PreflightFinding]:
    config, memory = situation.config, situation.machine.memory
    needed = estimate_memory_bytes(config, seen.bundle, facts)
    if (
        memory is None
        or needed <= memory
        or config.machine.device not in ("", situation.machine.device)
    ):
        return
    yield PreflightFinding(
        level="warn",
        kind="memory",
        what=f"It may need {needed / 1e9:.1f} GB of memory; there are {memory / 1e9:.1f} GB.",
        why="Should it run out, fewer clips are held at once, which is slower.",
        fix="Try measures it. Fewer clips at once, or lora, need less.",
        changes=_suggest_smaller_config(config),
    )


def _suggest_smaller_config(config: FinetuneConfig) -> dict[str, Any]:
    """Return changes that need about half the memory."""
    batch, accumulate = config.optimizer.batch, config.optimizer.accumulate
    if not config.schedule.steps:
        return {"diffusion.batch": max(1, config.diffusion.batch // 2)}
    if batch % (2 * config.machine.processes):
        return {"weights.method": "lora"}
    return {"optimizer.batch": batch // 2, "optimizer.accumulate": 2 * accumulate}


def _check_disk(
    situation: PreflightInput, seen: PreflightFacts, facts: DatasetFacts
) -> Iterator[PreflightFinding]:
    config = situation.config
    needed = plan_training(config, facts, seen.bundle).disk_bytes
    if needed <= situation.free:
        return
    yield PreflightFinding(
        level="stop",
        kind="disk",
        what=f"The run takes up to {needed / 1e9:.2f} GB; the disk has "
        f"{situation.free / 1e9:.2f} GB left.",
        why=f"There are {len(list_checkpoint_steps(config))} checkpoints, of which the best and "
        f"the "
        f"last {config.checkpoints.keep_last} are kept.",
        fix="Free some space, or keep fewer checkpoints.",
        changes={"checkpoints.keep_last": 1} if config.checkpoints.keep_last > 1 else {},
    )


def _make_blocking_finding(
    kind: str, what: str, why: str, changes: dict[str, Any]
) -> PreflightFinding:
    told = " and ".join(f"{key} to {value}" for key, value in changes.items())
    return PreflightFinding(
        level="stop", kind=kind, what=what, why=why, fix=f"Set {told}.", changes=changes
    )

"""Whether this machine has the room and the parts that a run needs. Light."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from training.config import FinetuneConfig
from training.preflight_found import Finding, Sight, Situation
from training.suggest import checkpoint_steps, plan
from training.suggest_facts import DatasetFacts, MachineFacts
from training.suggest_size import memory_bytes

# Any: a change sets a field to a value of its own type.


def machine_findings(situation: Situation, seen: Sight) -> Iterator[Finding]:
    """Say what the machine lacks for this configuration."""
    config, machine = situation.config, situation.machine
    facts = seen.clips.facts(config.dataset.name)
    yield from _precision(config, machine)
    yield from _processes(config, machine)
    yield from _memory(situation, seen, facts)
    yield from _disk(situation, seen, facts)
    if config.checkpoints.every > config.total_steps:
        yield Finding(
            level="warn",
            kind="no_checkpoint",
            what=f"A checkpoint every {config.checkpoints.every:,} steps never comes: there are "
            f"{config.total_steps:,}.",
            why="Then only the end is kept, and nothing can be heard before it.",
            fix="Make one more often.",
            changes={"checkpoints.every": max(1, config.total_steps // 5)},
        )


def device_of(config: FinetuneConfig, machine: MachineFacts) -> str:
    """Return the kind of device that a run would use: "cpu", "cuda" …"""
    return (config.machine.device or machine.device).split(":")[0].lower()


def _precision(config: FinetuneConfig, machine: MachineFacts) -> Iterator[Finding]:
    device = device_of(config, machine)
    if config.optimizer.precision == "fp16" and device == "cpu":
        yield _stop(
            "fp16",
            "fp16 does not work on a processor.",
            "Only GPUs train with it.",
            {"optimizer.precision": "fp32"},
        )
    if config.optimizer.eight_bit and device != "cuda":
        yield _stop(
            "eight_bit",
            "The 8-bit optimizer needs an NVIDIA GPU.",
            f"This run would use {device}.",
            {"optimizer.eight_bit": False},
        )
    elif config.optimizer.eight_bit and find_spec("bitsandbytes") is None:
        yield _stop(
            "eight_bit",
            "The 8-bit optimizer is not installed.",
            "`.venv/bin/python -m pip install bitsandbytes` brings it.",
            {"optimizer.eight_bit": False},
        )


def _processes(config: FinetuneConfig, machine: MachineFacts) -> Iterator[Finding]:
    processes, device = config.machine.processes, device_of(config, machine)
    room = machine.cores if device == "cpu" else machine.gpus
    if processes <= max(1, room):
        return
    kind = "cores" if device == "cpu" else "GPUs"
    yield Finding(
        level="warn" if device == "cpu" else "stop",
        kind="processes",
        what=f"{processes} processes are more than this machine has {kind}.",
        why=f"It has {room}.",
        fix="Use one process.",
        changes={"machine.processes": 1},
    )


def _memory(situation: Situation, seen: Sight, facts: DatasetFacts) -> Iterator[Finding]:
    config, memory = situation.config, situation.machine.memory
    needed = memory_bytes(config, seen.bundle, facts)
    if (
        memory is None
        or needed <= memory
        or config.machine.device not in ("", situation.machine.device)
    ):
        return
    yield Finding(
        level="warn",
        kind="memory",
        what=f"It may need {needed / 1e9:.1f} GB of memory; there are {memory / 1e9:.1f} GB.",
        why="Should it run out, fewer clips are held at once, which is slower.",
        fix="Try measures it. Fewer clips at once, or lora, need less.",
        changes=_smaller(config),
    )


def _smaller(config: FinetuneConfig) -> dict[str, Any]:
    """Return changes that need about half the memory."""
    batch, accumulate = config.optimizer.batch, config.optimizer.accumulate
    if not config.schedule.steps:
        return {"diffusion.batch": max(1, config.diffusion.batch // 2)}
    if batch % (2 * config.machine.processes):
        return {"weights.method": "lora"}
    return {"optimizer.batch": batch // 2, "optimizer.accumulate": 2 * accumulate}


def _disk(situation: Situation, seen: Sight, facts: DatasetFacts) -> Iterator[Finding]:
    config = situation.config
    needed = plan(config, facts, seen.bundle).disk_bytes
    if needed <= situation.free:
        return
    yield Finding(
        level="stop",
        kind="disk",
        what=f"The run takes up to {needed / 1e9:.2f} GB; the disk has "
        f"{situation.free / 1e9:.2f} GB left.",
        why=f"There are {len(checkpoint_steps(config))} checkpoints, of which the best and the "
        f"last {config.checkpoints.keep_last} are kept.",
        fix="Free some space, or keep fewer checkpoints.",
        changes={"checkpoints.keep_last": 1} if config.checkpoints.keep_last > 1 else {},
    )


def _stop(kind: str, what: str, why: str, changes: dict[str, Any]) -> Finding:
    told = " and ".join(f"{key} to {value}" for key, value in changes.items())
    return Finding(level="stop", kind=kind, what=what, why=why, fix=f"Set {told}.", changes=changes)

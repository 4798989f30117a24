"""Preflight checks of device, memory and disk. Light."""

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


def check_machine(request: PreflightInput, collected: PreflightFacts) -> Iterator[PreflightFinding]:
    """Check the configuration against the machine."""
    config, machine = request.config, request.machine
    facts = collected.clips.to_dataset_facts(config.dataset.name)
    yield from _check_precision(config, machine)
    yield from _check_processes(config, machine)
    yield from _check_memory(request, collected, facts)
    yield from _check_disk(request, collected, facts)
    if config.checkpoints.every > config.total_steps:
        yield PreflightFinding(
            level="warn",
            kind="no_checkpoint",
            what=f"checkpoints.every is {config.checkpoints.every:,}, more than the "
            f"{config.total_steps:,} steps of the run.",
            why="Then there is only one checkpoint, at the end.",
            fix="Save checkpoints more often.",
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
            "fp16 does not work on a CPU.",
            "Only GPUs can train in fp16.",
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
            "`.venv/bin/python -m pip install bitsandbytes` installs it.",
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
        what=f"machine.processes is {processes}, more than this machine has {kind}.",
        why=f"It has {room}.",
        fix="Use one process.",
        changes={"machine.processes": 1},
    )


def _check_memory(
    request: PreflightInput, collected: PreflightFacts, facts: DatasetFacts
) -> Iterator[PreflightFinding]:
    config, memory = request.config, request.machine.memory
    needed = estimate_memory_bytes(config, collected.bundle, facts)
    if (
        memory is None
        or needed <= memory
        or config.machine.device not in ("", request.machine.device)
    ):
        return
    yield PreflightFinding(
        level="warn",
        kind="memory",
        what=f"It may need {needed / 1e9:.1f} GB of memory; there are {memory / 1e9:.1f} GB.",
        why="If it does not fit, the micro-batch is halved, which is slower.",
        fix="Test run measures it. A smaller batch, or lora, needs less.",
        changes=_suggest_smaller_config(config),
    )


def _suggest_smaller_config(config: FinetuneConfig) -> dict[str, Any]:
    """Return changes that halve the memory, about."""
    batch, accumulate = config.optimizer.batch, config.optimizer.accumulate
    if not config.schedule.steps:
        return {"diffusion.batch": max(1, config.diffusion.batch // 2)}
    if batch % (2 * config.machine.processes):
        return {"weights.method": "lora"}
    return {"optimizer.batch": batch // 2, "optimizer.accumulate": 2 * accumulate}


def _check_disk(
    request: PreflightInput, collected: PreflightFacts, facts: DatasetFacts
) -> Iterator[PreflightFinding]:
    config = request.config
    needed = plan_training(config, facts, collected.bundle).disk_bytes
    if needed <= request.free:
        return
    yield PreflightFinding(
        level="stop",
        kind="disk",
        what=f"The run takes up to {needed / 1e9:.2f} GB; the disk has "
        f"{request.free / 1e9:.2f} GB left.",
        why=f"Of {len(list_checkpoint_steps(config))} checkpoints, the best and the last "
        f"{config.checkpoints.keep_last} are kept.",
        fix="Free some space, or keep fewer checkpoints.",
        changes={"checkpoints.keep_last": 1} if config.checkpoints.keep_last > 1 else {},
    )


def _make_blocking_finding(
    kind: str, what: str, why: str, changes: dict[str, Any]
) -> PreflightFinding:
    settings = " and ".join(f"{key} to {value}" for key, value in changes.items())
    return PreflightFinding(
        level="stop", kind=kind, what=what, why=why, fix=f"Set {settings}.", changes=changes
    )

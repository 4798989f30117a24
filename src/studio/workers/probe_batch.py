"""A few real steps on the longest clips: what fits the memory, and how long a step takes."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Literal

import torch

from core.errors import AppError, reraise_as_app_error
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.device import list_devices
from studio.diagnostics.system_info import DeviceInfo
from studio.schemas.batch_probe import BatchProbeRequest, BatchProbeResult
from studio.training_runs.config_service import (
    apply_changes,
    check_config,
    config_from_values,
    raise_on_blocking_findings,
)
from studio.training_runs.machine_facts import get_machine_facts, save_devices
from studio.training_runs.throughput import (
    ThroughputSample,
    build_workload_key,
    save_throughput_sample,
)
from studio.workers.context import TaskContext
from training.finetuning.batch_probe import StepProbeResult, probe_training_step
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.train_step import is_out_of_memory

StageName = Literal["gpt", "diffusion"]
CHANCE_LOSS_RATIO = 0.9  # of the loss of blind guessing; the starter on a real voice: 7.27 of 6.93


def probe_batch_size(
    context: TaskContext, request: BatchProbeRequest, report: ProgressReporter
) -> BatchProbeResult:
    """Find the batch sizes that fit, and save how long their steps take for the plan.

    Raises AppError for an invalid configuration, and where not one clip fits.
    """
    layout, device = context.layout, context.settings.device
    config = config_from_values(request.values)
    save_devices(layout, tuple(_list_found_devices()))
    raise_on_blocking_findings(layout, config, device)
    machine = get_machine_facts(layout, config.machine.device or device)
    config = apply_changes(config, {"machine.device": machine.device})
    clips, gpt = _find_largest_batch(layout, config, "gpt", report)
    stretches, diffusion = 0, None
    if config.diffusion.steps:
        stretches, diffusion = _find_largest_batch(layout, config, "diffusion", report)
    trial = ThroughputSample(
        work=build_workload_key(config, machine),
        clip_s=gpt.seconds / config.optimizer.clips_per_step,
        stretch_s=diffusion.seconds / config.diffusion.batch if diffusion else 0.0,
    )
    save_throughput_sample(layout.dataset(config.dataset.name), trial)
    advice, changes = (
        _advise_diffusion_only(config, gpt),
        _get_config_changes(config, clips, stretches),
    )
    if advice:
        report.note(advice)
        changes["schedule.steps"] = 0
    planned = check_config(layout, apply_changes(config, changes), device).plan
    return BatchProbeResult(
        batch=clips if config.schedule.steps else 0,
        diffusion_batch=stretches,
        gpt_s=gpt.seconds if config.schedule.steps else 0.0,
        diffusion_s=diffusion.seconds if diffusion else 0.0,
        memory=max(gpt.memory, diffusion.memory if diffusion else 0),
        device=machine.device,
        seconds=planned.seconds if planned else None,
        gpt_loss=gpt.loss,
        chance=gpt.chance or 0.0,
        advice=advice,
        changes=changes,
    )


def _advise_diffusion_only(config: FinetuneConfig, gpt: StepProbeResult) -> str:
    """Advise against GPT training where the GPT's loss on the dataset is near random guessing."""
    is_lost = gpt.chance is not None and gpt.loss > CHANCE_LOSS_RATIO * gpt.chance
    if not is_lost or not config.schedule.steps or not config.diffusion.steps:
        return ""
    return (
        f"The model's codebook does not fit this recording: its GPT has a loss of "
        f"{gpt.loss:.2f}; random guessing has {gpt.chance:.2f}. Finetuning would damage its "
        "speech, so train only the diffusion network: set schedule.steps to 0."
    )


def _find_largest_batch(
    layout: ProjectPaths, config: FinetuneConfig, stage: StageName, report: ProgressReporter
) -> tuple[int, StepProbeResult]:
    """Measure the batch size, halving it until it fits; warns once."""
    dataset, bundle = layout.dataset(config.dataset.name), layout.model(config.weights.bundle)
    wanted = -(-config.optimizer.batch // config.machine.processes) if config.schedule.steps else 1
    batch = whole = wanted if stage == "gpt" else config.diffusion.batch
    while batch:
        found = _try_batch_size(config, dataset, bundle, batch, stage, report)
        if found is not None:
            return batch, found
        if batch == whole:
            report.warn(f"{whole} clips at once do not fit into memory; trying fewer.")
        batch //= 2
    raise AppError(
        "Not even one clip fits into memory. Choose lora, half precision, shorter clips or "
        "another device.",
        code="out_of_host_memory" if config.machine.device == "cpu" else "out_of_memory",
    )


def _try_batch_size(
    config: FinetuneConfig,
    dataset: Path,
    bundle: Path,
    batch: int,
    stage: StageName,
    report: ProgressReporter,
) -> StepProbeResult | None:
    """Run the steps; None where the memory is full."""
    try:
        with reraise_as_app_error(ValueError):
            return probe_training_step(config, dataset, bundle, batch, stage, report)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    gc.collect()  # outside the handler, which still holds on to the tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _get_config_changes(config: FinetuneConfig, batch: int, stretches: int) -> dict[str, object]:
    changes: dict[str, object] = {}
    total = batch * config.machine.processes
    if config.schedule.steps and total < config.optimizer.batch:
        changes["optimizer.batch"] = total
        changes["optimizer.accumulate"] = -(-config.optimizer.clips_per_step // total)
    if 0 < stretches < config.diffusion.batch:
        changes["diffusion.batch"] = stretches
    return changes


def _list_found_devices() -> list[DeviceInfo]:
    return [DeviceInfo(name=one.name, label=one.label, memory=one.memory) for one in list_devices()]

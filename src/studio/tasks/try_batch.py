"""A few real steps on the longest clips: what fits the memory, and how long a step takes."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Literal

import torch

from engines.device import list_devices
from jobs.report import Reporter
from studio.configuring import changed, config_from, examine, refuse_doomed
from studio.configuring_machine import machine_facts, remember_devices
from studio.configuring_pace import Trial, remember_trial, work_of
from studio.configuring_try import TriedBatch, TryBatch
from studio.errors import StudioError, refusing
from studio.layout import Layout
from studio.system import FoundDevice
from studio.tasks.workshop import Workshop
from training.config import FinetuneConfig
from training.finetune_step import Tried, try_steps
from training.finetune_update import is_out_of_memory

Stage = Literal["gpt", "diffusion"]
NEAR_CHANCE = 0.9  # of the loss of blind guessing; the starter on a real voice: 7.27 of 6.93


def try_batch(workshop: Workshop, request: TryBatch, report: Reporter) -> TriedBatch:
    """Find the batches that fit, and keep how long their steps take for the plan."""
    return tried(workshop.layout, request, workshop.settings.device, report)


def tried(layout: Layout, request: TryBatch, device: str, report: Reporter) -> TriedBatch:
    """Find the batches that fit.

    Raises StudioError for a configuration that could not run, and where not one clip fits.
    """
    config = config_from(request.values)
    remember_devices(layout, tuple(_devices()))
    refuse_doomed(layout, config, device)
    machine = machine_facts(layout, config.machine.device or device)
    config = changed(config, {"machine.device": machine.device})
    clips, gpt = _largest(layout, config, "gpt", report)
    stretches, diffusion = 0, None
    if config.diffusion.steps:
        stretches, diffusion = _largest(layout, config, "diffusion", report)
    trial = Trial(
        work=work_of(config, machine),
        clip_s=gpt.seconds / config.optimizer.clips_per_step,
        stretch_s=diffusion.seconds / config.diffusion.batch if diffusion else 0.0,
    )
    remember_trial(layout.dataset(config.dataset.name), trial)
    advice, changes = _advice(config, gpt), _changes(config, clips, stretches)
    if advice:
        report.note(advice)
        changes["schedule.steps"] = 0
    planned = examine(layout, changed(config, changes), device).plan
    return TriedBatch(
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


def _advice(config: FinetuneConfig, gpt: Tried) -> str:
    """Say that the GPT had better not learn, where the dataset's codes are gibberish to it."""
    is_lost = gpt.chance is not None and gpt.loss > NEAR_CHANCE * gpt.chance
    if not is_lost or not config.schedule.steps or not config.diffusion.steps:
        return ""
    return (
        f"The model's codes do not fit this recording: its GPT guesses them with a loss of "
        f"{gpt.loss:.2f}, where blind guessing has {gpt.chance:.2f}. It would forget its words, so "
        "let only the diffusion network learn: set schedule.steps to 0."
    )


def _largest(
    layout: Layout, config: FinetuneConfig, stage: Stage, report: Reporter
) -> tuple[int, Tried]:
    """Try the batch, then half of it, and so on; says so once."""
    dataset, bundle = layout.dataset(config.dataset.name), layout.bundle(config.weights.bundle)
    wanted = -(-config.optimizer.batch // config.machine.processes) if config.schedule.steps else 1
    batch = whole = wanted if stage == "gpt" else config.diffusion.batch
    while batch:
        found = _fits(config, dataset, bundle, batch, stage, report)
        if found is not None:
            return batch, found
        if batch == whole:
            report.warn(f"The memory does not hold {whole} clips at once; fewer are tried.")
        batch //= 2
    raise StudioError(
        "The memory does not hold a single clip. Choose lora, half precision, shorter clips or "
        "another device.",
        cause="out_of_host_memory" if config.machine.device == "cpu" else "out_of_memory",
    )


def _fits(
    config: FinetuneConfig, dataset: Path, bundle: Path, batch: int, stage: Stage, report: Reporter
) -> Tried | None:
    """Take the steps; None where the memory is full."""
    try:
        with refusing(ValueError):
            return try_steps(config, dataset, bundle, batch, stage, report)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    gc.collect()  # outside the handler, which still holds on to the tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _changes(config: FinetuneConfig, batch: int, stretches: int) -> dict[str, object]:
    """Return what to set so that it fits and learns from as many clips a step as before."""
    changes: dict[str, object] = {}
    held = batch * config.machine.processes
    if config.schedule.steps and held < config.optimizer.batch:
        changes["optimizer.batch"] = held
        changes["optimizer.accumulate"] = -(-config.optimizer.clips_per_step // held)
    if 0 < stretches < config.diffusion.batch:
        changes["diffusion.batch"] = stretches
    return changes


def _devices() -> list[FoundDevice]:
    return [
        FoundDevice(name=one.name, label=one.label, memory=one.memory) for one in list_devices()
    ]

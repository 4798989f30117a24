"""What a step takes here: a few of them tried on the longest clips, and thrown away."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from core.progress import ProgressReporter
from engines.device import pick_device
from tortoise.checkpoints.loading import load_model
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, extract_features, load_features
from training.finetuning.diffusion_task import create_diffusion_task
from training.finetuning.distributed import DistributedContext
from training.finetuning.event_log import get_memory_bytes
from training.finetuning.gpt_task import create_gpt_task
from training.finetuning.train_step import create_step_executor, training_step

PROBE_STEPS = 2  # steps; the first one warms up
MAX_VALIDATION_CLIPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProbeResult:
    """What a step takes.

    memory: bytes at the most;  loss: on clips held out, or some of the others, before anything is
    learned;  chance: the loss of guessing codes blindly, None for the diffusion network. A GPT
    whose loss is near it cannot make sense of the dataset's codes.
    """

    seconds: float
    memory: int
    loss: float
    chance: float | None = None


def probe_training_step(
    config: FinetuneConfig,
    dataset: Path,
    bundle: Path,
    batch: int,
    stage: Literal["gpt", "diffusion"] = "gpt",
    report: ProgressReporter | None = None,
) -> StepProbeResult:
    """Take real steps with `batch` clips held at once, the longest there are.

    seconds: of a step over as many clips as the configuration adds up for one.
    Raises torch.OutOfMemoryError, MemoryError or RuntimeError where the memory is full.
    """
    report = report or ProgressReporter()
    opened = load_model(bundle)
    heard = load_features(extract_features(dataset, config.dataset, opened, report))
    clips = _select_longest(heard, batch)
    once = replace(
        config,
        optimizer=replace(config.optimizer, batch=batch, accumulate=1),
        diffusion=replace(config.diffusion, batch=batch),
        machine=replace(config.machine, processes=1),
    )
    device = pick_device(config.machine.device)
    tried = (
        create_gpt_task(opened, clips, once, device)
        if stage == "gpt"
        else create_diffusion_task(opened, opened.gpt.to(device), clips, once, device)
    )
    machine = create_step_executor(
        once.optimizer.precision, 0, DistributedContext(device=device), report, _raise_memory_error
    )
    machine.micro_batch_size = batch
    judged = (heard.validation or clips.train)[:MAX_VALIDATION_CLIPS]
    with machine.autocast():
        loss = tried.validate(judged)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for step in report.track(range(PROBE_STEPS), "trying"):
        began = time.perf_counter()
        training_step(tried, step, 1e-12, machine)
    seconds = time.perf_counter() - began
    whole = config.optimizer.clips_per_step if stage == "gpt" else config.diffusion.batch
    codes = opened.config.architecture("gpt").codes
    return StepProbeResult(
        seconds=seconds * whole / batch,
        memory=get_memory_bytes(device),
        loss=loss,
        chance=math.log(codes) if stage == "gpt" else None,
    )


def _select_longest(clips: DatasetSplits, count: int) -> DatasetSplits:
    chosen = sorted(clips.train, key=lambda clip: -len(clip.codes))[: max(count, 2)]
    return DatasetSplits(train=tuple(chosen), validation=())


def _raise_memory_error(told: str) -> None:
    """What is tried must fit as it is."""
    raise MemoryError(told)

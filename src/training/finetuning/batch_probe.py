"""Measure time and memory of a training step on the longest clips."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from core.progress import ProgressReporter
from engines.device import pick_device
from runs.event_log import get_memory_bytes
from tortoise.checkpoints.loading import load_model
from training.finetuning.codec_task import create_second_task
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, extract_features, load_features
from training.finetuning.distributed import DistributedContext
from training.finetuning.gpt_task import create_gpt_task
from training.finetuning.train_step import TrainingTask, create_step_executor, training_step

PROBE_STEPS = 2  # the first one warms up
MAX_VALIDATION_CLIPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProbeResult:
    """Time and memory of a step.

    memory: peak bytes;  loss: on held-out clips, or some of the others, before training;  chance:
    the loss of uniform guesses of codes, None for the diffusion network. A GPT whose loss is near
    it cannot model the dataset's codes.
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
    """Run real steps with a micro-batch of the `batch` longest clips.

    The seconds are scaled to the whole batch of the configuration.
    Raises torch.OutOfMemoryError, MemoryError or RuntimeError where the memory is full.
    """
    report = report or ProgressReporter()
    model = load_model(bundle)
    features = load_features(extract_features(dataset, config.dataset, model, report))
    clips = _select_longest(features, batch)
    probe_config = replace(
        config,
        optimizer=replace(config.optimizer, batch=batch, accumulate=1),
        diffusion=replace(config.diffusion, batch=batch),
        machine=replace(config.machine, processes=1),
    )
    device = pick_device(config.machine.device)
    task: TrainingTask
    if stage == "gpt":
        task = create_gpt_task(model, clips, probe_config, device)
    else:
        task = create_second_task(model, model.gpt, clips, probe_config, device)
    precision, alone = config.optimizer.precision, DistributedContext(device=device)
    executor = create_step_executor(precision, 0, alone, report, _raise_memory_error)
    executor.micro_batch_size = batch
    validation = (features.validation or clips.train)[:MAX_VALIDATION_CLIPS]
    with executor.autocast():
        loss = task.validate(validation)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for step in report.track(range(PROBE_STEPS), "trying"):
        started_at = time.perf_counter()
        training_step(task, step, 1e-12, executor)
    seconds = time.perf_counter() - started_at
    batch_size = config.optimizer.clips_per_step if stage == "gpt" else config.diffusion.batch
    codes = model.config.architecture("gpt").codes
    return StepProbeResult(
        seconds=seconds * batch_size / batch,
        memory=get_memory_bytes(device),
        loss=loss,
        chance=math.log(codes) if stage == "gpt" else None,
    )


def _select_longest(clips: DatasetSplits, count: int) -> DatasetSplits:
    chosen = sorted(clips.train, key=lambda clip: -len(clip.codes))[: max(count, 2)]
    return DatasetSplits(train=tuple(chosen), validation=())


def _raise_memory_error(message: str) -> None:
    raise MemoryError(message)

"""What a step takes here: a few of them tried on the longest clips, and thrown away."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from engines.device import pick_device
from jobs.report import Reporter
from tortoise.weights import load_bundle
from training.clips_of_dataset import HeardClips, hear_dataset, load_clips
from training.config import FinetuneConfig
from training.distributed import Ranks
from training.finetune_diary import memory_of
from training.finetune_diffusion import diffusion_stage
from training.finetune_gpt import gpt_stage
from training.finetune_update import machine_of, take_step

TRIED = 2  # steps; the first one warms up
MOST_JUDGED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a step takes.

    memory: bytes at the most;  loss: on clips held out, or some of the others, before anything is
    learned;  chance: the loss of guessing codes blindly, None for the diffusion network. A GPT
    whose loss is near it cannot make sense of the dataset's codes.
    """

    seconds: float
    memory: int
    loss: float
    chance: float | None = None


def try_steps(
    config: FinetuneConfig,
    dataset: Path,
    bundle: Path,
    batch: int,
    stage: Literal["gpt", "diffusion"] = "gpt",
    report: Reporter | None = None,
) -> Tried:
    """Take real steps with `batch` clips held at once, the longest there are.

    seconds: of a step over as many clips as the configuration adds up for one.
    Raises torch.OutOfMemoryError, MemoryError or RuntimeError where the memory is full.
    """
    report = report or Reporter()
    opened = load_bundle(bundle)
    heard = load_clips(hear_dataset(dataset, config.dataset, opened, report))
    clips = _longest(heard, batch)
    once = replace(
        config,
        optimizer=replace(config.optimizer, batch=batch, accumulate=1),
        diffusion=replace(config.diffusion, batch=batch),
        machine=replace(config.machine, processes=1),
    )
    device = pick_device(config.machine.device)
    tried = (
        gpt_stage(opened, clips, once, device)
        if stage == "gpt"
        else diffusion_stage(opened, opened.gpt.to(device), clips, once, device)
    )
    machine = machine_of(
        once.optimizer.precision, 0, Ranks(device=device), report, _refuse_to_halve
    )
    machine.rows = batch
    judged = (heard.validation or clips.train)[:MOST_JUDGED]
    with machine.autocast():
        loss = tried.validate(judged)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for step in report.track(range(TRIED), "trying"):
        began = time.perf_counter()
        take_step(tried, step, 1e-12, machine)
    seconds = time.perf_counter() - began
    whole = config.optimizer.clips_per_step if stage == "gpt" else config.diffusion.batch
    codes = opened.config.architecture("gpt").codes
    return Tried(
        seconds=seconds * whole / batch,
        memory=memory_of(device),
        loss=loss,
        chance=math.log(codes) if stage == "gpt" else None,
    )


def _longest(clips: HeardClips, count: int) -> HeardClips:
    chosen = sorted(clips.train, key=lambda clip: -len(clip.codes))[: max(count, 2)]
    return HeardClips(train=tuple(chosen), validation=())


def _refuse_to_halve(told: str) -> None:
    """What is tried must fit as it is."""
    raise MemoryError(told)

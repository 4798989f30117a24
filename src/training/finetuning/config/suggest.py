"""Propose a configuration for dataset, machine and model; compute the plan of any configuration.

`plan_training` is exact: the trainer uses the same functions for its steps and checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from training.finetuning.config.facts import DatasetFacts, MachineFacts, ModelFacts
from training.finetuning.config.lr_schedule import compute_lr_curve
from training.finetuning.config.memory_estimate import (
    estimate_checkpoint_bytes,
    estimate_max_batch_size,
    estimate_peak_disk_bytes,
)
from training.finetuning.config.schema import (
    CheckpointConfig,
    DatasetConfig,
    DiffusionTrainingConfig,
    FinetuneConfig,
    OptimizerConfig,
    ScheduleConfig,
    WeightsConfig,
)

TARGET_CHECKPOINTS = 6  # in a run, about
CODES_PER_S = 21.5
ROUND_NUMBERS = (10, 15, 20, 25, 30, 40, 50, 60, 75)
SMALL_BATCH = 8
SMALL_DIFFUSION_RATE = 5e-4
SMALL_DIFFUSION_STEPS, SMALL_DIFFUSION_REFERENCE_S = (
    450,
    150.0,
)  # measured on 20 clips of a real voice, 2.5 minutes
CODEC_REASON = "The decoder of the speaker codec makes the voice; the GPT speaks for all voices."
SMALL_STEPS = (200, 4_000)  # fewest and most
SMALL_RATE, SMALL_GPT_STEPS = 1e-4, 100  # where only the GPT can learn
PUBLISHED_RATE, LORA_RATE = 1e-5, 1e-4
PUBLISHED_CLIPS = 32  # of one step
PUBLISHED_EPOCHS, PUBLISHED_STEPS = 100, (200, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProposal:
    """A configuration, and the reason for each field that was chosen."""

    config: FinetuneConfig
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Seconds of one step of each stage, and of a checkpoint with its validation."""

    gpt_s: float
    diffusion_s: float = 0.0
    checkpoint_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Steps, checkpoints, disk space and time of a run.

    steps: of both stages together;  clips_per_step, steps_per_epoch: of the first stage that is
    trained;  checkpoints: the steps after which there is one;  disk_bytes: the peak;  seconds: None
    while the step times are unknown;  curve, diffusion_curve: (step, learning rate), steps counted
    from 0 over both stages.
    """

    steps: int
    gpt_steps: int
    diffusion_steps: int
    clips_per_step: int
    steps_per_epoch: int
    epochs: float
    diffusion_epochs: float
    checkpoints: tuple[int, ...]
    checkpoint_bytes: int
    disk_bytes: int
    seconds: float | None
    curve: tuple[tuple[int, float], ...]
    diffusion_curve: tuple[tuple[int, float], ...]


def list_checkpoint_steps(config: FinetuneConfig) -> tuple[int, ...]:
    """Return the steps, counted from 1 over both stages, after which there is a checkpoint.

    Every multiple of `checkpoints.every`, and the last step of each stage.
    """
    every, total = config.checkpoints.every, config.total_steps
    ends = {config.schedule.steps, total} - {0}
    return tuple(sorted({*range(every, total + 1, every), *ends}))


def plan_training(
    config: FinetuneConfig, facts: DatasetFacts, bundle: ModelFacts, pace: StepTimes | None = None
) -> TrainingPlan:
    """Compute steps, checkpoints, disk space and time of a run."""
    schedule, diffusion, clips = config.schedule, config.diffusion, max(1, facts.clips)
    per_step = config.optimizer.clips_per_step if schedule.steps else diffusion.batch
    checkpoints = list_checkpoint_steps(config)
    curve = compute_lr_curve(schedule, config.optimizer.rate, schedule.steps)
    after = compute_lr_curve(schedule, diffusion.rate, diffusion.steps)
    return TrainingPlan(
        steps=config.total_steps,
        gpt_steps=schedule.steps,
        diffusion_steps=diffusion.steps,
        clips_per_step=per_step,
        steps_per_epoch=math.ceil(facts.clips / per_step),
        epochs=schedule.steps * config.optimizer.clips_per_step / clips,
        diffusion_epochs=diffusion.steps * diffusion.batch / clips,
        checkpoints=checkpoints,
        checkpoint_bytes=estimate_checkpoint_bytes(config, bundle),
        disk_bytes=estimate_peak_disk_bytes(config, bundle, facts, len(checkpoints)),
        seconds=None if pace is None else _estimate_seconds(config, pace, len(checkpoints)),
        curve=tuple(curve),
        diffusion_curve=tuple((schedule.steps + step, rate) for step, rate in after),
    )


def suggest_config(
    facts: DatasetFacts, machine: MachineFacts, bundle: ModelFacts
) -> ConfigProposal:
    """Propose a configuration, with reasons."""
    reason = (
        _suggest_for_small_model(facts, bundle)
        if bundle.is_small
        else _suggest_for_published_model(facts, machine, bundle)
    )
    every = round_down(reason.config.total_steps / TARGET_CHECKPOINTS)
    config = replace(reason.config, checkpoints=CheckpointConfig(every=every))
    looks = f"{len(list_checkpoint_steps(config))} checkpoints in {config.total_steps:,} steps."
    return ConfigProposal(config=config, reasons={**reason.reasons, "checkpoints.every": looks})


def round_down(number: float) -> int:
    """Return the largest round number (1 to 9, 10, 15, 20, 25 …) not above it; at least 1."""
    whole = max(1, int(number))
    power: int = 10 ** max(0, len(str(whole)) - 2)
    return max((lead * power for lead in ROUND_NUMBERS if lead * power <= whole), default=whole)


def _suggest_for_small_model(facts: DatasetFacts, bundle: ModelFacts) -> ConfigProposal:
    """Propose for a small model: train the decoder of the codec, or the diffusion, not the GPT.

    A codebook of synthetic voices cannot represent real speech, so a GPT that is trained on such
    codes mispronounces words (measured: WER 0.62 to 0.81). A speaker codec leaves the voice to its
    decoder.
    """
    batch = max(1, min(SMALL_BATCH, facts.clips))
    shapes = bundle.diffusion.exists
    low, high = SMALL_STEPS
    steps = (
        round(SMALL_DIFFUSION_STEPS * math.sqrt(facts.seconds / SMALL_DIFFUSION_REFERENCE_S) / 50)
        * 50
    )
    config = FinetuneConfig(
        dataset=DatasetConfig(name=facts.name),
        weights=WeightsConfig(bundle=bundle.name),
        optimizer=OptimizerConfig(rate=SMALL_RATE, batch=batch, clip=1.0),
        schedule=ScheduleConfig(steps=0 if shapes else SMALL_GPT_STEPS),
        diffusion=DiffusionTrainingConfig(
            steps=max(low, min(high, steps)) if shapes else 0,
            rate=SMALL_DIFFUSION_RATE,
            batch=batch,
            window=_choose_window(facts),
        ),
    )
    reasons = {
        "schedule.steps": CODEC_REASON
        if bundle.has_speaker_codec
        else "The codebook of this model cannot represent real speech.",
        "diffusion.steps": f"Suggested for {facts.seconds / 60:.1f} minutes of data.",
        "diffusion.batch": f"{batch} of the {facts.clips} clips at a time.",
        "diffusion.rate": "Lower than the original rate.",
        "diffusion.window": f"Segments of {config.diffusion.window / CODES_PER_S:.1f} s.",
    }
    return ConfigProposal(config=config, reasons=reasons)


def _suggest_for_published_model(
    facts: DatasetFacts, machine: MachineFacts, bundle: ModelFacts
) -> ConfigProposal:
    """Propose values for published weights, which need little training."""
    start = FinetuneConfig(
        dataset=DatasetConfig(name=facts.name),
        weights=WeightsConfig(bundle=bundle.name),
        optimizer=OptimizerConfig(batch=1, precision="fp32" if machine.is_cpu else "bf16"),
        diffusion=DiffusionTrainingConfig(window=_choose_window(facts)),
    )
    adapted = replace(start, weights=replace(start.weights, method="lora"))
    room = estimate_max_batch_size(start, bundle, facts, machine)
    method = start if room > 1 or machine.memory is None else adapted
    batch = max(1, min(estimate_max_batch_size(method, bundle, facts, machine), facts.clips))
    accumulate = max(1, round(min(PUBLISHED_CLIPS, facts.clips) / batch))
    rate = LORA_RATE if method is adapted else PUBLISHED_RATE
    per_step = batch * accumulate
    config = replace(
        method,
        optimizer=replace(method.optimizer, rate=rate, batch=batch, accumulate=accumulate),
        schedule=ScheduleConfig(
            steps=_choose_steps(facts, per_step, PUBLISHED_EPOCHS, PUBLISHED_STEPS)
        ),
    )
    reasons = {
        "weights.method": "Full training fits into memory."
        if method is start
        else "Memory is too small for full training.",
        "optimizer.rate": "New adapters need a higher rate than pretrained weights."
        if method is adapted
        else "A low rate preserves the pretrained model.",
        "optimizer.batch": f"Should fit with clips of up to {facts.longest_s:.1f} s; a test run "
        "measures it.",
        "optimizer.accumulate": f"{per_step} clips per step.",
        "schedule.steps": _format_epochs(config, facts),
        "diffusion.steps": "The pretrained diffusion decoder covers most voices.",
    }
    return ConfigProposal(config=config, reasons=reasons)


def _choose_steps(facts: DatasetFacts, per_step: int, epochs: int, bounds: tuple[int, int]) -> int:
    low, high = bounds
    return max(low, min(high, round(epochs * facts.clips / per_step / 10) * 10))


def _choose_window(facts: DatasetFacts) -> int:
    usual = DiffusionTrainingConfig().window
    return max(4, min(usual, facts.codes or usual))  # no longer than the longest clip


def _format_epochs(config: FinetuneConfig, facts: DatasetFacts) -> str:
    epochs = config.schedule.steps * config.optimizer.clips_per_step / max(1, facts.clips)
    return f"About {epochs:,.0f} epochs of {facts.clips} clips."


def _estimate_seconds(config: FinetuneConfig, pace: StepTimes, checkpoints: int) -> float:
    steps = config.schedule.steps * pace.gpt_s + config.diffusion.steps * pace.diffusion_s
    return steps + checkpoints * pace.checkpoint_s

"""A configuration proposed from dataset, machine and model, and what any will come to. Light.

`plan` is exact: the trainer asks the same functions how many steps there are and where it stops to
look at itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from training.config import (
    CheckpointChoice,
    DataChoice,
    DiffusionChoice,
    FinetuneConfig,
    OptimizerChoice,
    Schedule,
    WeightsChoice,
)
from training.rates import curve_of
from training.suggest_facts import BundleFacts, DatasetFacts, MachineFacts
from training.suggest_size import checkpoint_bytes, fitting_batch, peak_disk_bytes

CHECKPOINTS = 8  # in a run, about
NICE = (1, 2, 5)
SMALL_RATE, SMALL_BATCH = 2e-4, 8
SMALL_EPOCHS, SMALL_STEPS = 150, (200, 3_000)  # fewest and most
SMALL_DIFFUSION_STEPS = 300
PUBLISHED_RATE, LORA_RATE = 1e-5, 1e-4
PUBLISHED_CLIPS = 32  # of one step
PUBLISHED_EPOCHS, PUBLISHED_STEPS = 100, (200, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A configuration, and for the fields that were weighed why they are what they are."""

    config: FinetuneConfig
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds that one step of each stage takes, and a checkpoint with all that belongs to it."""

    gpt_s: float
    diffusion_s: float = 0.0
    checkpoint_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run comes to.

    steps: of both stages together;  steps_per_epoch: until every clip was heard once, rounded up;
    epochs: how often every clip is heard by the GPT;  checkpoints: the steps after which there is
    one;  disk_bytes: the most that the run takes at any time;  seconds: None while the pace is
    unknown;  curve, diffusion_curve: (step, learning rate), steps counted from 0 over both stages.
    """

    steps: int
    gpt_steps: int
    diffusion_steps: int
    clips_per_step: int
    steps_per_epoch: int
    epochs: float
    checkpoints: tuple[int, ...]
    checkpoint_bytes: int
    disk_bytes: int
    seconds: float | None
    curve: tuple[tuple[int, float], ...]
    diffusion_curve: tuple[tuple[int, float], ...]


def checkpoint_steps(config: FinetuneConfig) -> tuple[int, ...]:
    """Return the steps, counted from 1 over both stages, after which there is a checkpoint.

    Every multiple of `checkpoints.every`, and the last step of each stage.
    """
    every, total = config.checkpoints.every, config.total_steps
    return tuple(sorted({*range(every, total + 1, every), config.schedule.steps, total}))


def plan(
    config: FinetuneConfig, facts: DatasetFacts, bundle: BundleFacts, pace: Pace | None = None
) -> Plan:
    """Work out what a run comes to."""
    schedule, diffusion, per_step = config.schedule, config.diffusion, config.optimizer
    checkpoints = checkpoint_steps(config)
    curve = curve_of(schedule, config.optimizer.rate, schedule.steps)
    after = curve_of(schedule, diffusion.rate, diffusion.steps)
    return Plan(
        steps=config.total_steps,
        gpt_steps=schedule.steps,
        diffusion_steps=diffusion.steps,
        clips_per_step=per_step.clips_per_step,
        steps_per_epoch=math.ceil(facts.clips / per_step.clips_per_step),
        epochs=schedule.steps * per_step.clips_per_step / max(1, facts.clips),
        checkpoints=checkpoints,
        checkpoint_bytes=checkpoint_bytes(config, bundle),
        disk_bytes=peak_disk_bytes(config, bundle, facts, len(checkpoints)),
        seconds=None if pace is None else _seconds(config, pace, len(checkpoints)),
        curve=tuple(curve),
        diffusion_curve=tuple((schedule.steps + step, rate) for step, rate in after),
    )


def suggest(facts: DatasetFacts, machine: MachineFacts, bundle: BundleFacts) -> Proposal:
    """Propose a configuration, and say why."""
    told = _small(facts, bundle) if bundle.is_small else _published(facts, machine, bundle)
    every = nice(told.config.total_steps / CHECKPOINTS)
    config = replace(told.config, checkpoints=CheckpointChoice(every=every))
    looks = f"{len(checkpoint_steps(config))} looks at {config.total_steps:,} steps."
    return Proposal(config=config, reasons={**told.reasons, "checkpoints.every": looks})


def nice(number: float) -> int:
    """Return the largest of 1, 2, 5, 10, 20, 50 … that is not above the number; at least 1."""
    power = 10 ** math.floor(math.log10(max(1.0, number)))
    return int(max(lead * power for lead in NICE if lead * power <= max(1.0, number)))


def _small(facts: DatasetFacts, bundle: BundleFacts) -> Proposal:
    """A network of the starter's kind: it knows few voices, so all of it has to learn, and fast."""
    batch = max(1, min(SMALL_BATCH, facts.clips))
    diffusion = SMALL_DIFFUSION_STEPS if bundle.diffusion.is_there else 0
    config = FinetuneConfig(
        dataset=DataChoice(name=facts.name),
        weights=WeightsChoice(bundle=bundle.name),
        optimizer=OptimizerChoice(rate=SMALL_RATE, batch=batch, clip=1.0),
        schedule=Schedule(steps=_steps(facts, batch, SMALL_EPOCHS, SMALL_STEPS)),
        diffusion=DiffusionChoice(
            steps=diffusion, rate=SMALL_RATE, batch=batch, window=_window(facts)
        ),
    )
    reasons = {
        "weights.method": "A small model has to change as a whole to become another voice.",
        "optimizer.rate": "A small model learns with large steps.",
        "optimizer.batch": f"{batch} of the {facts.clips} clips at a time.",
        "schedule.steps": _told_epochs(config, facts),
        "diffusion.steps": "What shapes its sound has heard few voices too, so it learns as well.",
    }
    return Proposal(config=config, reasons=reasons)


def _published(facts: DatasetFacts, machine: MachineFacts, bundle: BundleFacts) -> Proposal:
    """Published weights have heard thousands of voices; a little change is enough, and safest."""
    start = FinetuneConfig(
        dataset=DataChoice(name=facts.name),
        weights=WeightsChoice(bundle=bundle.name),
        optimizer=OptimizerChoice(batch=1, precision="fp32" if machine.is_cpu else "bf16"),
        diffusion=DiffusionChoice(window=_window(facts)),
    )
    adapted = replace(start, weights=replace(start.weights, method="lora"))
    room = fitting_batch(start, bundle, facts, machine)
    method = start if room > 1 or machine.memory is None else adapted
    batch = max(1, min(fitting_batch(method, bundle, facts, machine), facts.clips))
    accumulate = max(1, round(min(PUBLISHED_CLIPS, facts.clips) / batch))
    rate = LORA_RATE if method is adapted else PUBLISHED_RATE
    per_step = batch * accumulate
    config = replace(
        method,
        optimizer=replace(method.optimizer, rate=rate, batch=batch, accumulate=accumulate),
        schedule=Schedule(steps=_steps(facts, per_step, PUBLISHED_EPOCHS, PUBLISHED_STEPS)),
    )
    reasons = {
        "weights.method": "All of it fits into this memory."
        if method is start
        else "This memory is too small for all of it.",
        "optimizer.rate": "Adapters are new and learn faster than what they stand beside."
        if method is adapted
        else "Small steps keep what the model knows of speech.",
        "optimizer.batch": f"Clips of up to {facts.longest_s:.1f} s that should fit at once; Try "
        "measures it.",
        "optimizer.accumulate": f"{per_step} clips make one step, which keeps it steady.",
        "schedule.steps": _told_epochs(config, facts),
        "diffusion.steps": "It knows most voices already.",
    }
    return Proposal(config=config, reasons=reasons)


def _steps(facts: DatasetFacts, per_step: int, epochs: int, bounds: tuple[int, int]) -> int:
    low, high = bounds
    return max(low, min(high, round(epochs * facts.clips / per_step / 10) * 10))


def _window(facts: DatasetFacts) -> int:
    """Return codes of a stretch that at least the longest clip has."""
    return max(4, min(DiffusionChoice().window, facts.codes or DiffusionChoice().window))


def _told_epochs(config: FinetuneConfig, facts: DatasetFacts) -> str:
    heard = config.schedule.steps * config.optimizer.clips_per_step / max(1, facts.clips)
    return f"Each of the {facts.clips} clips is heard about {heard:,.0f} times."


def _seconds(config: FinetuneConfig, pace: Pace, checkpoints: int) -> float:
    steps = config.schedule.steps * pace.gpt_s + config.diffusion.steps * pace.diffusion_s
    return steps + checkpoints * pace.checkpoint_s

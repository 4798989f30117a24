"""Learning rate schedules, shared by the trainer and the plot on the page."""

from __future__ import annotations

import math

from training.finetuning.config.schema import ScheduleConfig


def compute_lr(schedule: ScheduleConfig, rate: float, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, of a stage of so many steps.

    rate: the peak. Warm-up is linear and never 0.
    """
    warm_up = round(schedule.warm_up * steps)
    if step < warm_up:
        return rate * (step + 1) / warm_up
    if schedule.shape == "cosine":
        return compute_cosine_lr(step, steps, rate, warm_up, schedule.floor)
    if schedule.shape == "multistep":
        passed = sum(step / steps >= mark for mark in schedule.milestones)
        return rate * schedule.gamma**passed
    return rate


def compute_cosine_lr(
    step: int, steps: int, peak: float, warm_up: int, floor: float = 0.05
) -> float:
    """Return the rate of linear warm-up over `warm_up` steps, then half-cosine decay.

    It ends at `floor` times the peak.
    """
    if step < warm_up:
        return peak * (step + 1) / warm_up
    way = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * way)))


def compute_lr_curve(
    schedule: ScheduleConfig, rate: float, steps: int, points: int = 200
) -> list[tuple[int, float]]:
    """Return (step, rate) at up to `points` steps of a stage, the first and the last among them."""
    last = max(0, steps - 1)
    taken = sorted({round(last * place / max(1, points - 1)) for place in range(points)})
    return [(step, compute_lr(schedule, rate, step, steps)) for step in taken if step < steps]

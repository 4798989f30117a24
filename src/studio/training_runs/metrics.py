"""The curves of a training run: measured things over its steps, thinned to what a screen shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_CURVE_POINTS = 500  # of a curve: more are not seen on any screen
SMOOTHING = 0.95  # of the running mean of the training loss
HIDDEN_METRICS = ("seconds", "memory")

CurvePoints = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One measured thing over the steps of one stage ("gpt" or "diffusion").

    name: loss, smoothed, validation, train_loss (at each validation), mel, text, rate, gradient.
    """

    stage: str
    name: str
    points: CurvePoints


def build_curves(
    measured: Mapping[tuple[str, str], Sequence[tuple[int, float]]],
) -> tuple[Curve, ...]:
    """Draw every measured thing, and the running mean of the training loss."""
    curves = []
    for (stage, name), points in measured.items():
        if not points or name in HIDDEN_METRICS:
            continue
        curves.append(Curve(stage=stage, name=name, points=downsample_points(points)))
        if name == "loss":
            mean = downsample_points(smooth_points(points))
            curves.append(Curve(stage=stage, name="smoothed", points=mean))
    return tuple(curves)


def downsample_points(
    points: Sequence[tuple[int, float]], most: int = MAX_CURVE_POINTS
) -> CurvePoints:
    """Keep at most so many points, evenly spread, with the first and the last."""
    if len(points) <= most:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(number * last / (most - 1))] for number in range(most))


def smooth_points(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the running mean, which is not drawn towards its first value."""
    mean = weight = 0.0
    drawn = []
    for step, value in points:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        drawn.append((step, mean / weight))
    return drawn

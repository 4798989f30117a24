"""The metric curves of a training run, downsampled and smoothed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_CURVE_POINTS = 500
SMOOTHING = 0.95  # of the running mean of the training loss
HIDDEN_METRICS = ("seconds", "memory")

CurvePoints = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric over the steps of one stage ("gpt" or "diffusion").

    name: loss, smoothed, validation, train_loss (at each validation), mel, text, rate, gradient.
    """

    stage: str
    name: str
    points: CurvePoints


def build_curves(
    measured: Mapping[tuple[str, str], Sequence[tuple[int, float]]],
) -> tuple[Curve, ...]:
    """Build a curve of each metric, and one of the running mean of the training loss."""
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
    points: Sequence[tuple[int, float]], limit: int = MAX_CURVE_POINTS
) -> CurvePoints:
    """Keep at limit `limit` points, evenly spread, the first and the last among them."""
    if len(points) <= limit:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(number * last / (limit - 1))] for number in range(limit))


def smooth_points(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the exponential running mean, corrected for its bias at the start."""
    mean = weight = 0.0
    smoothed = []
    for step, value in points:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        smoothed.append((step, mean / weight))
    return smoothed

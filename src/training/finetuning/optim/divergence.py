"""Detect divergence: a smoothed loss that stays far above its best."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

SMOOTHING = 0.9  # share of the smoothed loss that a step keeps
WARM_UP_STEPS = 10
DIVERGENCE_FACTOR, PATIENCE = 3.0, 30
"""Raise after `PATIENCE` steps above `DIVERGENCE_FACTOR` times the best smoothed loss."""


@dataclass(kw_only=True)
class DivergenceDetector:
    """The smoothed loss of one stage. recent: the validation metric since the last checkpoint."""

    smoothed: float = 0.0
    best: float = float("inf")
    seen: int = 0
    bad: int = 0
    recent: list[float] = field(default_factory=list)

    def update(self, loss: float, metric: float) -> None:
        """Check the loss of one step. Raises DivergenceError.

        metric: the metric of the step that validation measures too.
        """
        self.seen += 1
        self.recent.append(metric)
        self.smoothed += (loss - self.smoothed) * max(1 - SMOOTHING, 1 / self.seen)
        if self.seen < WARM_UP_STEPS:
            return
        self.best = min(self.best, self.smoothed)
        self.bad = self.bad + 1 if self.smoothed > DIVERGENCE_FACTOR * self.best else 0
        if self.bad >= PATIENCE:
            raise DivergenceError(
                f"the loss has been above {DIVERGENCE_FACTOR:g} times its best for {PATIENCE} "
                f"steps "
                f"({self.smoothed:.3g} against {self.best:.3g})"
            )

    @property
    def mean(self) -> float | None:
        """The mean of `recent`."""
        return sum(self.recent) / len(self.recent) if self.recent else None

    def state_dict(self) -> dict[str, float | int | list[float]]:
        """Return the fields."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, float | int | list[float]]) -> None:
        """Load the fields."""
        for name, value in state.items():
            setattr(self, name, value)


class DivergenceError(RuntimeError):
    """The training diverged; the last good state can be restored."""

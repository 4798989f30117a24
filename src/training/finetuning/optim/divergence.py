"""Sees whether learning goes wrong: a loss that leaves what it once was for good."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

SMOOTHING = 0.9  # of the smoothed loss, at each step
WARM_UP_STEPS = 10  # steps before the smoothed loss says anything
DIVERGENCE_FACTOR, PATIENCE = 3.0, 30
"""So many times the best smoothed loss, so many steps in a row, is no bad luck any more."""


@dataclass(kw_only=True)
class DivergenceDetector:
    """The loss of one stage so far, smoothed."""

    smoothed: float = 0.0
    best: float = float("inf")
    seen: int = 0
    bad: int = 0
    recent: list[float] = field(default_factory=list)

    def update(self, loss: float, judged: float) -> None:
        """Take in the loss of one step.  Raises Diverged when it went wrong for too long.

        judged: the part of it that validation measures.
        """
        self.seen += 1
        self.recent.append(judged)
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
        """The mean of what was fed since the last checkpoint."""
        return sum(self.recent) / len(self.recent) if self.recent else None

    def state_dict(self) -> dict[str, float | int | list[float]]:
        """What must survive a restart."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, float | int | list[float]]) -> None:
        """Go on from there."""
        for name, value in state.items():
            setattr(self, name, value)


class DivergenceError(RuntimeError):
    """The loss is no longer a number; the last saved state is still good."""

"""End a training whose validation loss no longer decreases. Light."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(kw_only=True)
class EarlyStopping:
    """patience: validations without gain, 0 for no limit;  threshold: the smallest gain."""

    patience: int
    threshold: float = 0.0
    lowest: float = float("inf")
    left: int = -1

    def __post_init__(self) -> None:
        self.left = self.patience if self.left < 0 else self.left

    def update(self, loss: float) -> bool:
        """Take the loss of a validation; return whether it is the lowest so far."""
        if loss < self.lowest - self.threshold:
            self.lowest, self.left = loss, self.patience
            return True
        self.left = max(0, self.left - 1)
        return False

    @property
    def is_over(self) -> bool:
        """Whether the patience is used up."""
        return self.patience > 0 and self.left == 0

    def state_dict(self) -> dict[str, float | int]:
        """Return the lowest loss and the patience left."""
        known = asdict(self)
        return {name: known[name] for name in ("lowest", "left")}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Continue from a state."""
        self.lowest, self.left = float(state["lowest"]), min(int(state["left"]), self.patience)

"""End a training whose validation loss no longer decreases. Light."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class EarlyStopping:
    """patience: validations without gain, 0 for no limit;  threshold: the smallest gain."""

    patience: int
    threshold: float = 0.0
    lowest: float = float("inf")
    without_gain: int = 0

    def update(self, loss: float) -> bool:
        """Take the loss of a validation; return whether it is the lowest so far."""
        is_lowest = loss < self.lowest - self.threshold
        if is_lowest:
            self.lowest = loss
        self.without_gain = 0 if is_lowest else self.without_gain + 1
        return is_lowest

    @property
    def left(self) -> int:
        """How many more validations without gain there may be."""
        return max(0, self.patience - self.without_gain)

    @property
    def is_over(self) -> bool:
        """Whether the patience is used up."""
        return self.patience > 0 and self.left == 0

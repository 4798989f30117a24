"""What an engine is: conditioning from clips, clips from text. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from typing_extensions import Self

    from engines.conditioning import Conditioning
    from jobs.report import Reporter
    from speech.clip import Clip


class Engine(Protocol):
    """A way to speak. It knows no voices, folders, result files, pages or other engines.

    The same seed gives the same clip; arguments stay as they are and so does the global random
    state; `Cancelled` comes within one report after the wish to stop.
    """

    name: ClassVar[str]
    sample_rate: ClassVar[int]  # Hz of what synthesize returns
    options: ClassVar[type]  # a frozen dataclass of knobs, see engines.knobs

    @property
    def weights_id(self) -> str:
        """Name the weights: equal ids, equal numbers."""
        ...

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Read a bundle of weights. Raises ValueError for one that is incomplete or damaged."""
        ...

    def condition(self, clips: Sequence[Clip], report: Reporter) -> Conditioning:
        """Listen to clips of one speaker."""
        ...

    # Any: the instance of `options` that belongs to this engine
    def synthesize(
        self, text: str, speaker: Conditioning, options: Any, report: Reporter
    ) -> list[Clip]:
        """Speak the text; the best clip first. Raises ValueError naming an option out of range."""
        ...

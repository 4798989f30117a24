"""Speech handed out while it is still being made: growing waves become chunks that join smoothly.

Shapes: n samples.
"""

from __future__ import annotations

import torch
from torch import Tensor


class ChunkJoiner:
    """Takes ever longer versions of one wave; gives what is new, faded into what was given.

    The newest samples of a version are the least sure, so the last `overlap` of them are held back
    until the next version, and then faded over into it.
    """

    def __init__(self, overlap: int = 1024) -> None:
        self.overlap = overlap
        self.given = 0  # samples handed out so far
        self.held: Tensor | None = None  # (overlap,) of the last version

    def add(self, wave: Tensor) -> Tensor:
        """wave: (n,) from the very beginning, n never shrinking.  Returns the new samples.

        A version that grew by less than the overlap is taken as the last one and given to its end.
        """
        new = wave[self.given : -self.overlap]
        if self.held is not None and len(new) < self.overlap:
            return self._give(wave[self.given :], held=None)
        return self._give(self._faded(new), held=wave[-self.overlap :])

    def finish(self) -> Tensor:
        """What is still held back, which the original never gives.  Returns (n,)."""
        return self._give(torch.zeros(0) if self.held is None else self.held, held=None)

    def _give(self, chunk: Tensor, held: Tensor | None) -> Tensor:
        self.given += len(chunk)
        self.held = held
        return chunk

    def _faded(self, new: Tensor) -> Tensor:
        if self.held is None:
            return new
        rise = torch.linspace(0.0, 1.0, self.overlap, device=new.device)
        start = self.held * rise.flip(0) + new[: self.overlap] * rise
        return torch.cat([start, new[self.overlap :]])

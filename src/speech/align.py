"""Which part of a text is heard when: the best way through a table of text against time.

Shapes: m frames of sound, t text tokens, h tables (attention heads).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Row: TypeAlias = npt.NDArray[np.float64]

MOST_SKIPPED = 3  # tokens that one frame may pass over: a comma and the blanks around it
HEADS_HEARD = 4  # of all heads, those that follow the text best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """token_of: (m,) the token that each frame speaks, never going back;  trust: 0 to 1."""

    token_of: Tensor
    trust: float

    def first_frame(self, token: int) -> int:
        """Return the first frame that speaks this token or one after it; m where none does."""
        return int((self.token_of < token).sum())


def align_by_attention(attention: Tensor) -> Alignment:
    """Follow the text through the heads of a network that speaks it.

    attention: (h, m, t) how much each frame looks at each token. Some heads read along and most do
    something else; those that read along are found by how much of their attention one way through
    the text, from its beginning to its end, can gather.
    """
    shares = attention / attention.sum(-1, keepdim=True).clamp_min(1e-9)  # (h, m, t)
    gathered = torch.tensor([best_path(head)[1] for head in shares])  # (h,)
    chosen = gathered.topk(min(HEADS_HEARD, len(gathered))).indices
    path, trust = best_path(shares[chosen].mean(0))
    return Alignment(token_of=path, trust=trust)


def best_path(table: Tensor) -> tuple[Tensor, float]:
    """Find the way through a table from the first token to the last that gathers the most.

    table: (m, t). Returns (m,) the token of each frame, and the mean gathered per frame. Each frame
    stays at its token or goes on by at most MOST_SKIPPED + 1.
    """
    values = table.double().numpy()
    m, t = values.shape
    steps = range(MOST_SKIPPED + 2)  # how far a frame goes on
    best = np.full((m, t), -np.inf)
    came = np.zeros((m, t), dtype=np.int64)
    best[0, : MOST_SKIPPED + 1] = values[0, : MOST_SKIPPED + 1]
    for frame in range(1, m):
        before = np.stack([_shifted(best[frame - 1], step) for step in steps])  # (steps, t)
        came[frame] = before.argmax(0)
        best[frame] = values[frame] + before.max(0)
    ends = best[-1, max(0, t - 1 - MOST_SKIPPED) :]
    if not np.isfinite(ends).any():  # more text than the frames can pass
        return torch.zeros(m, dtype=torch.long), 0.0
    token = int(ends.argmax()) + max(0, t - 1 - MOST_SKIPPED)
    gathered = float(best[-1, token]) / m
    path = np.zeros(m, dtype=np.int64)
    for frame in range(m - 1, -1, -1):
        path[frame] = token
        token -= int(came[frame, token])
    return torch.from_numpy(path), gathered


def _shifted(row: Row, by: int) -> Row:
    """Move a row to the right by `by`, letting nothing in from the left."""
    moved: Row = np.full_like(row, -np.inf)
    moved[by:] = row[: max(0, len(row) - by)]
    return moved

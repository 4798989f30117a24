"""Which part of a text is heard when: the best way through a table of text against time.

Shapes: m frames of sound, t text tokens, h tables (attention heads).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MOST_SKIPPED = 3  # tokens that one frame may pass over: a comma and the blanks around it
HEADS_TRIED = 48  # of all heads, those that gather most
HEADS_HEARD = 4  # of those, the ones that read most surely forwards


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
    something else. Those that read along gather much attention on a way through the text and little
    on a way through it backwards; how much less is the trust.
    """
    shares = attention / attention.sum(-1, keepdim=True).clamp_min(1e-9)  # (h, m, t)
    forwards = gathered(shares)  # (h,)
    likely = forwards.topk(min(HEADS_TRIED, len(shares))).indices
    ahead = forwards[likely] - gathered(shares[likely].flip(-1))
    reading = likely[ahead.topk(min(HEADS_HEARD, len(likely))).indices]
    table = shares[reading].mean(0)  # (m, t)
    there, back = gathered(table[None]), gathered(table.flip(-1)[None])
    trust = float(((there - back) / there.clamp_min(1e-9)).clamp(0, 1))
    return Alignment(token_of=best_path(table), trust=trust)


def gathered(tables: Tensor) -> Tensor:
    """Return how much the best way through each table gathers per frame; 0 where there is no way.

    tables: (h, m, t). Returns (h,).
    """
    best = _begin(tables[:, 0])
    for frame in range(1, tables.shape[1]):
        best = tables[:, frame] + _reached(best).amax(0)
    ends = best[:, -1 - MOST_SKIPPED :].amax(-1)  # the last tokens may be passed over as well
    return ends.nan_to_num(neginf=0.0) / tables.shape[1]


def best_path(table: Tensor) -> Tensor:
    """Find the way through a table, from its first token to its last, that gathers the most.

    table: (m, t). Returns (m,) the token of each frame; all zero where there is no way. Each frame
    stays at its token or goes on by at most MOST_SKIPPED + 1.
    """
    m, t = table.shape
    came = torch.zeros(m, t, dtype=torch.long)  # how far each place was from the one before it
    best = _begin(table[0])
    for frame in range(1, m):
        most, came[frame] = _reached(best).max(0)
        best = table[frame] + most
    first_end = max(0, t - 1 - MOST_SKIPPED)
    token = first_end + int(best[first_end:].argmax())
    path = torch.zeros(m, dtype=torch.long)
    if not bool(best[token].isfinite()):  # more text than the frames can pass
        return path
    for frame in range(m - 1, -1, -1):
        path[frame] = token
        token -= int(came[frame, token])
    return path


def _begin(row: Tensor) -> Tensor:
    """What the first frame gathers: (…, t); a way begins at one of the first tokens."""
    return torch.cat(
        [row[..., : MOST_SKIPPED + 1], torch.full_like(row[..., MOST_SKIPPED + 1 :], -torch.inf)],
        dim=-1,
    )


def _reached(best: Tensor) -> Tensor:
    """What can be brought along to each token, from 0, 1, … tokens before it.

    best: (…, t). Returns (MOST_SKIPPED + 2, …, t).
    """
    t = best.shape[-1]
    padded = torch.nn.functional.pad(best, (MOST_SKIPPED + 1, 0), value=-torch.inf)
    return torch.stack(
        [padded[..., MOST_SKIPPED + 1 - by :][..., :t] for by in range(MOST_SKIPPED + 2)]
    )

"""What becomes of the network's scores before a code is drawn from them.

In the original's order: repetition penalty, typical filter, temperature, top-k, top-p, draw.

Shapes: r rows, v vocabulary, s shortlist.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shortlist:
    """The codes that may still be drawn, best first.

    scores: (r, s) logits, -inf for what is out;  codes: (r, s).
    """

    scores: Tensor
    codes: Tensor

    def draw(self, uniform: Tensor) -> Tensor:
        """Pick one code per row where its share of probability contains a number in [0, 1).

        uniform: (r,).  Returns (r,).
        """
        edges = self.scores.softmax(-1).cumsum(-1)  # (r, s)
        place = (edges <= (uniform[:, None] * edges[:, -1:])).sum(-1, keepdim=True)
        return self.codes.gather(1, place.clamp(max=edges.shape[1] - 1))[:, 0]


def penalize(logits: Tensor, said: Tensor, penalty: float) -> Tensor:
    """Make what was said before less likely (arXiv:1909.05858, section 4.1).

    logits: (r, v);  said: (r, v) bool.  Returns (r, v).
    """
    lowered = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(said, lowered, logits)


def keep_typical(logits: Tensor, mass: float) -> Tensor:
    """Keep the codes whose surprise is nearest to the expected one (arXiv:2202.00666).

    logits: (r, v);  mass: the probability to keep.  Returns (r, v), -inf for what is out.
    """
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).nansum(-1, keepdim=True)
    oddity, order = (-log_p - entropy).abs().sort(-1)
    kept = (logits.gather(1, order).softmax(-1).cumsum(-1) < mass).sum(-1, keepdim=True)
    limit = oddity.gather(1, kept.clamp(max=logits.shape[1] - 1))
    return logits.masked_fill((-log_p - entropy).abs() > limit, -torch.inf)


def shortlist(logits: Tensor, top_k: int) -> Shortlist:
    """The k best codes of each row, or all for 0.  logits: (r, v)."""
    scores, codes = logits.topk(min(top_k or logits.shape[1], logits.shape[1]), dim=-1)
    return Shortlist(scores=scores, codes=codes)


def keep_top_p(candidates: Shortlist, top_p: float) -> Shortlist:
    """Keep the best codes that together have the probability top_p, at least one."""
    tail = candidates.scores.softmax(-1).flip(-1).cumsum(-1).flip(-1)  # (r, s) of it and all after
    out = tail <= 1 - top_p
    out[:, 0] = False
    return Shortlist(scores=candidates.scores.masked_fill(out, -torch.inf), codes=candidates.codes)

"""Durations of text tokens, and the text that belongs to each code.

A GPT with an aligner need not learn by attention which token comes next: it is told, as in
VALL-E R (arXiv:2406.07855). Durations are in codes and may be fractions.
Shapes: b batch, t text tokens with the start token, m codes, w width, d model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 5
MIN_DURATION = 0.02  # codes; keeps the logarithm of a duration finite


class TextAligner(nn.Module):
    """Bidirectional convolutions over the text, a duration for each token, and their expansion."""

    def __init__(self, text_tokens: int, model_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(text_tokens, width)
        self.voice = nn.Linear(model_dim, width)
        self.blocks = nn.ModuleList(AlignerBlock(width) for _ in range(depth))
        self.duration_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))
        self.expand = nn.Sequential(
            nn.Linear(width + 2, width), nn.SiLU(), nn.Linear(width, model_dim)
        )
        nn.init.normal_(self.embedding.weight, std=0.5)

    def forward(self, text: Tensor, lengths: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """Return the state (b, t, w) and the log-duration (b, t) of each token.

        text: (b, t) from the start token on, padded with anything; lengths: (b,); voice: (b, d).
        """
        valid = (torch.arange(text.shape[1], device=text.device) < lengths[:, None]).unsqueeze(-1)
        hidden = (self.embedding(text) + self.voice(voice)[:, None]) * valid
        for block in self.blocks:
            hidden = block(hidden) * valid
        return hidden, self.duration_head(hidden)[..., 0]

    def align(self, states: Tensor, durations: Tensor, codes: int) -> Tensor:
        """Return the text at each code, to be added to the inputs that predict them.

        states: (b, t, w); durations: (b, t) in codes, 0 for padding; the last token of a row goes
        on to the end. Returns (b, codes, d).
        """
        weights, place = compute_overlap(durations.float(), codes)
        length = (durations.float() + MIN_DURATION).log()
        features = torch.stack(
            [(weights * place).sum(-1), (weights * length[:, None]).sum(-1)], dim=-1
        )
        text = weights.to(states.dtype) @ states
        expanded: Tensor = self.expand(torch.cat([text, features.to(states.dtype)], dim=-1))
        return expanded


class AlignerBlock(nn.Module):
    """A convolution over the tokens and a projection, around a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2)
        self.out = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (b, t, w), zero at padding. Returns the same shape."""
        valid = hidden.abs().sum(-1, keepdim=True) > 0  # the norm makes padding non-zero
        x = (self.norm(hidden) * valid).transpose(1, 2)
        added: Tensor = hidden + self.out(F.silu(self.conv(x)).transpose(1, 2))
        return added


def compute_overlap(durations: Tensor, codes: int) -> tuple[Tensor, Tensor]:
    """Return the share of each code that each token takes, and how far the token is by then.

    durations: (b, t). Returns (b, codes, t) with rows that sum to 1, and (b, codes, t) in [0, 1].
    """
    ends = durations.cumsum(-1)
    starts = ends - durations
    total = ends[:, -1:]
    last = (ends >= total) & (durations > 0)  # the last token with a duration
    ends = torch.where(last, ends.clamp(min=float(codes)), ends)
    first = torch.arange(codes, device=durations.device).float()[None, :, None]
    begin, end = starts[:, None], ends[:, None]
    weights = (torch.minimum(end, first + 1) - torch.maximum(begin, first)).clamp(min=0)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
    place = (first + 0.5 - begin) / durations.clamp(min=MIN_DURATION)[:, None]
    return weights, place.clamp(0, 1)

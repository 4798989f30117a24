"""How long each token of a text lasts, for a GPT with a text aligner.

Shapes: t text tokens, m codes, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.modules.gpt import Gpt
from tortoise.modules.text_aligner import MIN_DURATION

LEAD_CODES = 1.6  # silence before the text, as trained


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextPlan:
    """Durations of the lead and of each token, (1 + t,) codes; the text at each code, (m, d)."""

    durations: Tensor
    aligned: Tensor

    def start_of(self, token: int) -> float:
        """Return the code, with a fraction, at which a token begins; 0 for the first."""
        return float(self.durations[: token + 1].sum()) if token else 0.0


@torch.inference_mode()
def plan_text(
    gpt: Gpt, conditioning: Tensor, text: Tensor, speed: float = 1.0, longest: int = 0
) -> TextPlan | None:
    """Predict the durations of a text; None for a GPT without an aligner.

    conditioning: (1, d); text: (1, t) ended by a stop; speed: factor of the pace; longest: limit of
    the codes, 0 for none.
    """
    if gpt.aligner is None:
        return None
    inputs = F.pad(text[:, :-1], (1, 0), value=gpt.config.start_text_token)
    lengths = torch.tensor([inputs.shape[1]], device=text.device)
    states, logs = gpt.aligner(inputs, lengths, conditioning)
    durations = (logs.float().exp() - MIN_DURATION).clamp(min=0) / speed
    durations[:, 0] = LEAD_CODES
    codes = max(1, round(float(durations.sum())))
    durations = durations * (codes / durations.sum())
    aligned = gpt.aligner.align(states, durations, min(codes, longest or codes))
    return TextPlan(durations=durations[0].cpu(), aligned=aligned[0])

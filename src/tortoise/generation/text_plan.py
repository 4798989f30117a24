"""How long each token of a text lasts, for a GPT with a text aligner, and the phones of each code.

Shapes: t text tokens, m codes, d model width, p phone classes, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from text.normalization.words import TokenRange
from text.phones import PHONES, SILENCE, UNKNOWN_PHONE, classify_token
from text.tokenizer import PhonemeTokenizer, Tokenizer
from tortoise.modules.gpt import Gpt
from tortoise.modules.text_aligner import MIN_DURATION, compute_overlap

LEAD_CODES = 1.6  # silence before the text, as trained
SPACE_CODES = 1.0  # that a space has between two words
MAX_LAST_CODES = 3.0  # of the last phone of a word, behind which is a pause


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextPlan:
    """Durations of the lead and of each token, (1 + t,) codes; the text at each code, (m, d).

    phones: (p, 2 m) from `compute_phone_shares`; None where the tokens are not phones.
    """

    durations: Tensor
    aligned: Tensor
    phones: Tensor | None = None

    def start_of(self, token: int) -> float:
        """Return the code, with a fraction, at which a token begins; 0 for the first."""
        return float(self.durations[: token + 1].sum()) if token else 0.0

    def locate_words(self, words: Sequence[TokenRange]) -> list[tuple[float, float]]:
        """Return the codes, with a fraction, at which words begin and end.

        words: the tokens of each. What the durations give to the space before a word is heard as
        its beginning, and the pause before a mark belongs to the phone before it.
        """
        starts = self.durations.cumsum(0).tolist()  # of each token, behind the lead
        found = []
        for first, stop in words:
            start = starts[first - 1] if first else max(0.0, starts[0] - SPACE_CODES)
            end = min(starts[stop], starts[stop - 1] + MAX_LAST_CODES) if stop > first else start
            found.append((start, end))
        return found


@torch.inference_mode()
def plan_text(
    gpt: Gpt,
    conditioning: Tensor,
    text: Tensor,
    speed: float = 1.0,
    longest: int = 0,
    classes: Tensor | None = None,
) -> TextPlan | None:
    """Predict the durations of a text; None for a GPT without an aligner.

    conditioning: (1, d); text: (1, t) ended by a stop; speed: factor of the pace; longest: limit of
    the codes, 0 for none; classes: (v,) from `list_phone_classes`.
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
    count = min(codes, longest or codes)
    aligned = gpt.aligner.align(states, durations, count)
    phones = None
    if classes is not None:
        phones = compute_text_shares(classes, text[0, :-1], durations[0], count)
    return TextPlan(durations=durations[0].cpu(), aligned=aligned[0], phones=phones)


def list_phone_classes(tokenizer: Tokenizer) -> Tensor | None:
    """Return the phone class of each token, (v,); None for tokens that are not phones."""
    if not isinstance(tokenizer, PhonemeTokenizer):
        return None
    return torch.tensor([classify_token(symbol) for symbol in tokenizer.symbols])


def compute_text_shares(classes: Tensor, text: Tensor, durations: Tensor, codes: int) -> Tensor:
    """Return the shares of the phones of a text behind its lead of silence: (p, 2 m).

    classes: (v,); text: (t,); durations: (1 + t,) codes of the lead and of each token.
    """
    kinds = F.pad(classes.to(text.device)[text], (1, 0), value=SILENCE)
    return compute_phone_shares(kinds, durations, codes)


def compute_phone_shares(classes: Tensor, durations: Tensor, codes: int) -> Tensor:
    """Return the part of each half code that each phone takes: (p, 2 m), zero for unknown phones.

    classes: (t,); durations: (t,) in codes; the last one goes on to the end.
    """
    weights, _ = compute_overlap(2 * durations[None].float(), 2 * codes)
    kinds = F.one_hot(classes - UNKNOWN_PHONE, len(PHONES) + 1)[:, 1:]
    return (weights[0] @ kinds.to(weights.dtype)).T

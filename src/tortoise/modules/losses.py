"""CTC losses (connectionist temporal classification, Graves 2006) of texts given mel codes.

Shapes: n clips, m codes, d width, s symbols. The CTC head is a linear layer (d to s); the stop
token is the blank symbol.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_LOG_TEMPERATURE = math.log(1 / 0.07)  # CLIP (arXiv:2103.00020)
MAX_LOG_TEMPERATURE = math.log(100)
STOP_TOKEN = 0
WORD_BOUNDARY_TOKEN = 2
"""Token id of the word boundary, in the published vocabulary and in ours."""


def remove_special_tokens(text: Tensor) -> Tensor:
    """Return the CTC targets of a text: its ids (t,) without stop and word boundaries."""
    return text[(text != WORD_BOUNDARY_TOKEN) & (text != STOP_TOKEN)].long()


@torch.no_grad()
def compute_ctc_nll(
    speller: nn.Linear, states: Tensor, lengths: Tensor, targets: Sequence[Tensor]
) -> Tensor:
    """Return the CTC loss of each clip in nats: (n,), always finite.

    states: (n, m, d); lengths: (n,) codes of each; targets: the symbols of each. A clip with fewer
    codes than symbols has the largest loss.
    """
    with torch.autocast(states.device.type, enabled=False):
        spelled = functional.linear(states.float(), speller.weight.float(), speller.bias.float())
        # on the CPU: the same sums on every device, and there is little to add up
        nats = functional.ctc_loss(
            spelled.log_softmax(-1).transpose(0, 1).cpu(),
            torch.cat(list(targets)).cpu(),
            lengths.cpu(),
            torch.tensor([len(symbols) for symbols in targets]),
            blank=STOP_TOKEN,
            reduction="none",
            zero_infinity=True,
        )
    hopeless = 2.0 * float(nats.max()) + 1.0
    return torch.where(nats > 0, nats, hopeless)


def compute_cosine_similarity(left: Tensor, right: Tensor) -> Tensor:
    """Compare every left latent with every right one.

    left: (a, d);  right: (b, d).  Returns (a, b) cosines in float32.
    """
    return (
        functional.normalize(left.float(), dim=-1) @ functional.normalize(right.float(), dim=-1).T
    )


def info_nce_loss(similarity: Tensor) -> Tensor:
    """Symmetric InfoNCE (arXiv:2103.00020): each row and each column should find its own partner.

    similarity: (b, b), partners on the diagonal.  Returns the loss ().
    """
    partners = torch.arange(similarity.shape[0], device=similarity.device)
    rows = functional.cross_entropy(similarity, partners)
    columns = functional.cross_entropy(similarity.T, partners)
    return (rows + columns) / 2


def mean_over_time(hidden: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average over the real positions.

    hidden: (b, n, d);  mask: (b, n), true where real.  Returns (b, d).
    """
    if mask is None:
        return hidden.mean(1)
    weight = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)

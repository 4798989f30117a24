"""What CLVP and CVVP share: a learned-temperature cosine and the loss that trains it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cosines(left: Tensor, right: Tensor) -> Tensor:
    """Compare every left latent with every right one.

    left: (a, d);  right: (b, d).  Returns (a, b) cosines in float32.
    """
    return (
        functional.normalize(left.float(), dim=-1) @ functional.normalize(right.float(), dim=-1).T
    )


def info_nce(similarity: Tensor) -> Tensor:
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

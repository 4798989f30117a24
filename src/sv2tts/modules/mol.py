"""The discretized mixture of logistics (arXiv:1701.05517), WaveRNN's output in MOL mode.

Shapes: b batch, n samples, k = 10 mixture components.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

COMPONENTS = 10
MOL_OUTPUTS = 3 * COMPONENTS  # logits, means, log scales
MIN_LOG_SCALE = math.log(1e-14)
CLASSES = 65_536  # of 16-bit audio
HALF_BIN = 1.0 / (CLASSES - 1)
EDGE = 0.999  # beyond it a target counts as the outermost label
MIN_UNIFORM = 1e-5


def mixture_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the negative log-likelihood of each sample: (b, n, 1).

    prediction: (b, n, 30); target: (b, n, 1) in [-1, 1].
    """
    logits, means, log_scales = prediction.split(COMPONENTS, dim=-1)
    log_scales = log_scales.clamp(min=MIN_LOG_SCALE)
    target = target.expand_as(means)
    centered = target - means
    inverse = torch.exp(-log_scales)
    upper, lower = inverse * (centered + HALF_BIN), inverse * (centered - HALF_BIN)
    probability = torch.sigmoid(upper) - torch.sigmoid(lower)
    middle = inverse * centered
    density = middle - log_scales - 2.0 * F.softplus(middle) - math.log((CLASSES - 1) / 2)
    inside = torch.where(probability > 1e-5, probability.clamp(min=1e-12).log(), density)
    log_probability = torch.where(
        target < -EDGE,
        upper - F.softplus(upper),
        torch.where(target > EDGE, -F.softplus(lower), inside),
    )
    weighted = log_probability + F.log_softmax(logits, dim=-1)
    return -torch.logsumexp(weighted, dim=-1, keepdim=True)


def sample_mixture(prediction: Tensor, mixture_noise: Tensor, logistic_noise: Tensor) -> Tensor:
    """Draw a sample from each mixture.

    prediction: (..., 30); mixture_noise: (..., 10) and logistic_noise: (...) uniform in
    (1e-5, 1 - 1e-5). Returns (...) in [-1, 1].
    """
    logits, means, log_scales = prediction.split(COMPONENTS, dim=-1)
    gumbel = logits - torch.log(-torch.log(mixture_noise))
    component = gumbel.argmax(-1, keepdim=True)
    mean = means.gather(-1, component).squeeze(-1)
    scale = log_scales.gather(-1, component).squeeze(-1).clamp(min=MIN_LOG_SCALE).exp()
    odds = torch.log(logistic_noise) - torch.log(1.0 - logistic_noise)
    return (mean + scale * odds).clamp(-1.0, 1.0)


def draw_uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw what `sample_mixture` needs, on the CPU."""
    return torch.rand(shape, generator=generator).mul_(1 - 2 * MIN_UNIFORM).add_(MIN_UNIFORM)

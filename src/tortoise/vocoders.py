"""One way to speak a mel, whichever vocoder a bundle holds.

Shapes: b batch, f mel frames, n samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tortoise.bigvgan import BigVgan, BigVganConfig
from tortoise.hifigan import Hifigan, HifiganConfig
from tortoise.univnet import UnivNet, UnivNetConfig
from tortoise.weight_norm import fold_weight_norm

SILENCE = -11.5129  # natural log, as the published vocoders were given it
MARGIN = 10  # frames of silence spoken after the mel and cut off again, so that the end is whole

VocoderConfig = UnivNetConfig | BigVganConfig | HifiganConfig
MelVocoder = UnivNet | BigVgan

VOCODERS: Mapping[str, tuple[type[Any], type[nn.Module]]] = {
    "univnet": (UnivNetConfig, UnivNet),
    "bigvgan": (BigVganConfig, BigVgan),
    "hifigan": (HifiganConfig, Hifigan),
}


def vocoder_class(name: str) -> tuple[type[Any], type[nn.Module]]:
    """The architecture and the network of a vocoder.

    Raises ValueError for a name that is none.
    """
    if name not in VOCODERS:
        raise ValueError(f"There is no vocoder {name!r}; choose one of {', '.join(VOCODERS)}.")
    return VOCODERS[name]


def build_vocoder(config: VocoderConfig) -> nn.Module:
    """The network of an architecture, untrained and able to train."""
    for kind, network in VOCODERS.values():
        if type(config) is kind:
            return network(config)
    raise TypeError(f"{type(config).__name__} is no vocoder's architecture")


def for_inference(vocoder: MelVocoder) -> MelVocoder:
    """A copy that only speaks: weight norm folded, no gradients."""
    folded = deepcopy(vocoder).eval().requires_grad_(False)
    fold_weight_norm(folded)
    return folded


@torch.inference_mode()
def vocode(vocoder: MelVocoder, mel: Tensor, generator: torch.Generator) -> Tensor:
    """Speak a natural-log mel (b, bands, f) on the device where both are.

    generator: a CPU generator; UnivNet's noise is drawn from it, the others draw nothing.
    Returns the wave (b, hop * f) float32 in [-1, 1].
    """
    padded = F.pad(mel, (0, MARGIN), value=SILENCE)
    if isinstance(vocoder, UnivNet):
        shape = (mel.shape[0], vocoder.config.noise_dim, padded.shape[-1])
        wave = vocoder(padded, torch.randn(shape, generator=generator).to(mel))
    else:
        wave = vocoder(padded)
    spoken: Tensor = wave[:, 0, : -MARGIN * vocoder.config.hop].float()
    return spoken.clamp(-1.0, 1.0)

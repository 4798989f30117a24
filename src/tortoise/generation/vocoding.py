"""Run a vocoder on a mel spectrogram.

Shapes: b batch, f mel frames, n samples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio.griffin_lim import mel_to_audio
from audio.mel import VOCODER_MEL
from core.errors import InvalidValueError
from tortoise.modules.vocoders.bigvgan import BigVgan
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, vocode_mel
from tortoise.modules.vocoders.univnet import UnivNet
from tortoise.modules.weight_norm import fold_weight_norm

SILENCE_LOG_MEL = -11.5129  # natural log, as the published vocoders were given it
PADDING_FRAMES = (
    10  # frames of silence spoken after the mel and cut off again, so that the end is whole
)

MelVocoder = IstftVocoder | UnivNet | BigVgan
NetworkT = TypeVar("NetworkT", bound=nn.Module)

VOCODER_NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "univnet": "vocoder",
        "bigvgan": "bigvgan",
        "hifigan": "hifigan",
        "istft": "istft_vocoder",
    }
)
"""Name of a vocoder option -> network name."""

GRIFFIN_LIM = "griffin_lim"
"""Griffin-Lim, the vocoder without a network."""


def choose_vocoder(wanted: str, held: Collection[str]) -> str:
    """Return the network name of the vocoder, or `GRIFFIN_LIM`.

    wanted: as in the options; "auto" takes the first mel vocoder. held: names of the networks of
    the model. Raises ValueError for a vocoder that does not exist or that the model lacks.
    """
    if wanted == GRIFFIN_LIM:
        return GRIFFIN_LIM
    if wanted != "auto" and wanted not in VOCODER_NETWORKS:
        known = ", ".join(("auto", *VOCODER_NETWORKS, GRIFFIN_LIM))
        raise InvalidValueError(
            f"There is no vocoder {wanted!r}; choose {known}.", code="bundle_incompatible"
        )
    here = [name for name, network in VOCODER_NETWORKS.items() if network in held]
    speakers_of_mels = [name for name in here if name != "hifigan"]
    chosen = speakers_of_mels[:1] if wanted == "auto" else [name for name in here if name == wanted]
    if not chosen:
        raise InvalidValueError(
            f"These weights have no vocoder {wanted!r}; they hold {', '.join(here) or 'none'}. "
            "Choose another vocoder, or download one.",
            code="bundle_incompatible",
            cli_hint="`testudo models download --also NAME` downloads one.",
        )
    return VOCODER_NETWORKS[chosen[0]]


def prepare_for_inference(vocoder: NetworkT) -> NetworkT:
    """Return a copy for inference: weight norm folded, no gradients."""
    folded = deepcopy(vocoder).eval().requires_grad_(False)
    fold_weight_norm(folded)
    return folded


@torch.inference_mode()
def vocode(vocoder: MelVocoder | None, mel: Tensor, generator: torch.Generator) -> Tensor:
    """Convert a natural-log mel (b, bands, f) to audio, on its device.

    vocoder: None for Griffin-Lim. generator: a CPU generator; UnivNet's noise and the first phases
    are drawn from it, BigVGAN draws nothing. Returns the wave (b, hop * f) float32 in [-1, 1].
    """
    if vocoder is None:
        found = mel_to_audio(F.pad(mel, (0, 1), value=SILENCE_LOG_MEL), VOCODER_MEL, generator)
        return found.clamp(-1.0, 1.0)
    padded = F.pad(mel, (0, PADDING_FRAMES), value=SILENCE_LOG_MEL)
    if isinstance(vocoder, IstftVocoder):
        return vocode_mel(vocoder, padded, generator)[:, : mel.shape[-1] * VOCODER_MEL.hop].clamp(
            -1, 1
        )
    if isinstance(vocoder, UnivNet):
        shape = (mel.shape[0], vocoder.config.noise_dim, padded.shape[-1])
        wave = vocoder(padded, torch.randn(shape, generator=generator).to(mel))
    else:
        wave = vocoder(padded)
    spoken: Tensor = wave[:, 0, : -PADDING_FRAMES * vocoder.config.hop].float()
    return spoken.clamp(-1.0, 1.0)

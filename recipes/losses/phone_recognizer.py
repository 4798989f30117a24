"""A network that hears the phones of a mel; it judges decoded mels in training and is not shipped.

Shapes: b batch, g vocoder mel frames, w width, p phone classes, h half codes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from audio.mel import VOCODER_MEL
from recipes.loop import autocast_bfloat16
from text.phones import PHONES, UNKNOWN_PHONE
from tortoise.modules.speaker_codec import CodecBlock, standardize_bands


class PhoneRecognizer(nn.Module):
    """Convolutions over the standardised mel at half its rate; channels are dropped in training."""

    def __init__(self, width: int, blocks: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.conv_in = nn.Conv1d(VOCODER_MEL.bands, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(CodecBlock(width) for _ in range(blocks))
        self.conv_out = nn.Conv1d(width, len(PHONES), 3, padding=1)

    def forward(self, mel: Tensor, places: int) -> Tensor:
        """mel: (b, 100, g) natural log. Returns logits (b, p, places)."""
        hidden = self.conv_in(standardize_bands(mel))
        for block in self.blocks:
            hidden = F.dropout1d(block(hidden), self.dropout, self.training)
        logits: Tensor = self.conv_out(hidden)
        return F.interpolate(logits, size=places, mode="linear")


def compute_phone_errors(recognizer: PhoneRecognizer, mel: Tensor, phones: Tensor) -> Tensor:
    """Return the cross entropy of each phone, in nats, 0 for unknown ones: (b, h).

    mel: (b, 100, g); phones: (b, h) classes.
    """
    with autocast_bfloat16():
        logits = recognizer(mel, phones.shape[1])
    return F.cross_entropy(logits.float(), phones, ignore_index=UNKNOWN_PHONE, reduction="none")


def compute_phone_loss(errors: Tensor, phones: Tensor, natural: Tensor | None = None) -> Tensor:
    """Return the mean error of the known phones, or the mean by which it exceeds the natural: ().

    errors: (b, h) from `compute_phone_errors`; natural: (b, h), those of the recording. A decoder
    that makes phones clearer to the recognizer than they are in speech is less clear to others
    (word error rate 0.10 in place of 0.06).
    """
    missed = errors if natural is None else (errors - natural).relu()
    known = phones != UNKNOWN_PHONE
    return (missed * known).sum() / known.sum().clamp(min=1)

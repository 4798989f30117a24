"""The encoder that hears a reference clip for the autoregressive network.

Shapes: b batch, c mel bands, d model width, f mel frames.
"""

from __future__ import annotations

from torch import Tensor, nn

from tortoise.blocks import AttentionBlock


class ConditioningEncoder(nn.Module):
    """Attention over a mel spectrogram; the state of its first frame stands for the whole clip."""

    def __init__(
        self, bands: int, width: int, heads: int, depth: int = 6, residual_from_norm: bool = False
    ) -> None:
        super().__init__()
        self.init = nn.Conv1d(bands, width, 1)
        self.attn = nn.Sequential(
            *(
                AttentionBlock(width, heads, residual_from_norm=residual_from_norm)
                for _ in range(depth)
            )
        )

    def forward(self, mel: Tensor) -> Tensor:
        """mel: (b, c, f).  Returns (b, d)."""
        states: Tensor = self.attn(self.init(mel))
        return states[:, :, 0]

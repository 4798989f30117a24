"""WaveRNN as Real-Time Voice Cloning published it (arXiv:1802.08435), RAW and MOL.

Shapes: b batch, f mel frames, m mel bands, n samples, a auxiliary width, k output classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv2tts.modules.mol import MOL_OUTPUTS

AUX_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRNNConfig:
    """The architecture; the defaults are the published vocoder.pt."""

    rnn_dims: int = 512
    fc_dims: int = 512
    bits: int = 9
    pad: int = 2  # mel frames of context on each side
    upsample_factors: tuple[int, ...] = (5, 5, 8)
    feat_dims: int = 80
    compute_dims: int = 128
    res_out_dims: int = 128
    res_blocks: int = 10
    mode: Literal["RAW", "MOL"] = "RAW"
    sample_rate: int = 16_000

    @property
    def hop(self) -> int:
        """Samples per mel frame."""
        return math.prod(self.upsample_factors)

    @property
    def classes(self) -> int:
        """Outputs per sample: labels, or the parameters of the mixture of logistics."""
        return 2**self.bits if self.mode == "RAW" else MOL_OUTPUTS

    @classmethod
    def tiny(cls) -> WaveRNNConfig:
        """The size that tests run on."""
        return cls(rnn_dims=8, fc_dims=8, compute_dims=8, res_out_dims=8, res_blocks=1)


class ResidualBlock(nn.Module):
    def __init__(self, dims: int):
        super().__init__()
        self.conv1 = nn.Conv1d(dims, dims, 1, bias=False)
        self.conv2 = nn.Conv1d(dims, dims, 1, bias=False)
        self.batch_norm1 = nn.BatchNorm1d(dims)
        self.batch_norm2 = nn.BatchNorm1d(dims)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.batch_norm1(self.conv1(x)))
        return cast(Tensor, x + self.batch_norm2(self.conv2(y)))


class MelResNet(nn.Module):
    """Auxiliary conditioning, one vector per mel frame."""

    def __init__(self, config: WaveRNNConfig):
        super().__init__()
        dims, kernel = config.compute_dims, 2 * config.pad + 1
        self.conv_in = nn.Conv1d(config.feat_dims, dims, kernel, bias=False)
        self.batch_norm = nn.BatchNorm1d(dims)
        self.layers = nn.ModuleList(ResidualBlock(dims) for _ in range(config.res_blocks))
        self.conv_out = nn.Conv1d(dims, config.res_out_dims, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """mel: (b, m, f + 2 pad). Returns (b, a, f)."""
        x = F.relu(self.batch_norm(self.conv_in(mel)))
        for layer in self.layers:
            x = layer(x)
        return cast(Tensor, self.conv_out(x))


class Stretch(nn.Module):
    """Repeat every frame."""

    def __init__(self, factor: int):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.factor, dim=-1)


class UpsampleNetwork(nn.Module):
    """Stretch mel and auxiliary conditioning to one vector per sample."""

    def __init__(self, config: WaveRNNConfig):
        super().__init__()
        self.indent = config.pad * config.hop
        self.hop = config.hop
        self.resnet = MelResNet(config)
        layers: list[nn.Module] = []
        for factor in config.upsample_factors:
            smooth = nn.Conv2d(1, 1, (1, 2 * factor + 1), padding=(0, factor), bias=False)
            nn.init.constant_(smooth.weight, 1.0 / (2 * factor + 1))
            layers += [Stretch(factor), smooth]
        self.up_layers = nn.ModuleList(layers)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """mel: (b, m, f + 2 pad). Returns (b, n, m) and (b, n, a) with n = hop * f."""
        aux = self.resnet(mel).repeat_interleave(self.hop, dim=-1)
        x = mel.unsqueeze(1)
        for layer in self.up_layers:
            x = layer(x)
        x = x.squeeze(1)[:, :, self.indent : -self.indent]
        return x.transpose(1, 2), aux.transpose(1, 2)


class WaveRNN(nn.Module):
    """Mel to wave, one sample after the other; parameters are named as published."""

    def __init__(self, config: WaveRNNConfig):
        super().__init__()
        self.config = config
        self.aux_dims = config.res_out_dims // AUX_PARTS
        self.step = nn.Parameter(torch.zeros(1, dtype=torch.long), requires_grad=False)
        self.upsample = UpsampleNetwork(config)
        self.I = nn.Linear(config.feat_dims + self.aux_dims + 1, config.rnn_dims)
        self.rnn1 = nn.GRU(config.rnn_dims, config.rnn_dims, batch_first=True)
        self.rnn2 = nn.GRU(config.rnn_dims + self.aux_dims, config.rnn_dims, batch_first=True)
        self.fc1 = nn.Linear(config.rnn_dims + self.aux_dims, config.fc_dims)
        self.fc2 = nn.Linear(config.fc_dims + self.aux_dims, config.fc_dims)
        self.fc3 = nn.Linear(config.fc_dims, config.classes)

    def forward(self, x: Tensor, mel: Tensor) -> Tensor:
        """Predict every sample from the true ones before it.

        x: (b, n) in [-1, 1]; mel: (b, m, n / hop + 2 pad) in [-1, 1]. Returns (b, n, k) logits.
        """
        mel, aux = self.upsample(mel)
        a1, a2, a3, a4 = aux.split(self.aux_dims, dim=-1)
        x = self.I(torch.cat([x.unsqueeze(-1), mel, a1], dim=-1))
        x = x + self.rnn1(x)[0]
        x = x + self.rnn2(torch.cat([x, a2], dim=-1))[0]
        x = F.relu(self.fc1(torch.cat([x, a3], dim=-1)))
        x = F.relu(self.fc2(torch.cat([x, a4], dim=-1)))
        return cast(Tensor, self.fc3(x))

    @torch.inference_mode()
    def generate_samples(
        self,
        conditioning: tuple[Tensor, Tensor],
        sample: Callable[[Tensor], Tensor],
        on_step: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Generate samples for upsampled conditioning (b, n, m) and (b, n, a).

        sample: logits (b, k) to values (b,) in [-1, 1]. on_step: called with each sample's number.
        Returns (b, n).
        """
        mel, aux = conditioning
        a1, a2, a3, a4 = aux.split(self.aux_dims, dim=-1)
        # What does not depend on the samples is multiplied once for all of them.
        weight = self.I.weight
        conditioned = torch.cat([mel, a1], dim=-1) @ weight[:, 1:].T + self.I.bias
        cell1, cell2 = _as_cell(self.rnn1), _as_cell(self.rnn2)
        x = mel.new_zeros(len(mel))
        h1 = h2 = mel.new_zeros(len(mel), self.config.rnn_dims)
        made: list[Tensor] = []
        for step in range(mel.shape[1]):
            if on_step is not None:
                on_step(step)
            y = conditioned[:, step] + x.unsqueeze(-1) * weight[:, 0]
            h1 = cell1(y, h1)
            y = y + h1
            h2 = cell2(torch.cat([y, a2[:, step]], dim=-1), h2)
            y = y + h2
            y = F.relu(self.fc1(torch.cat([y, a3[:, step]], dim=-1)))
            y = F.relu(self.fc2(torch.cat([y, a4[:, step]], dim=-1)))
            x = sample(self.fc3(y))
            made.append(x)
        return torch.stack(made, dim=1)


def _as_cell(gru: nn.GRU) -> Callable[[Tensor, Tensor], Tensor]:
    """Return one step of a GRU layer, without the checks of the module."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights: list[Tensor] = [getattr(gru, name) for name in names]

    def step(x: Tensor, hidden: Tensor) -> Tensor:
        return torch.gru_cell(x, hidden, *weights)

    return step

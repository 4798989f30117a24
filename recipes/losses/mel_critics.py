"""What judges the mels of the speaker codec in training: a critic, and a speaker encoder.

Shapes: b batch, g vocoder mel frames.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio.mel import VOCODER_MEL, MelSpec, mel_filterbank
from recipes.loop import autocast_bfloat16
from tortoise.modules.speaker_codec import MEL_CENTER, MEL_SCALE

ADVERSARIAL_WEIGHT, FEATURE_WEIGHT = 0.1, 2.0
LEAK = 0.2
GE2E_MEL = MelSpec(
    sample_rate=16_000, n_fft=400, hop=160, bands=40, high_hz=8_000.0, scale="slaney", power=2.0
)
"""Energies in this mel, not their logs, are the input of the published speaker encoder."""
WINDOW_FRAMES = 160  # of that encoder's windows


class MelCritic(nn.Module):
    """A patch discriminator of mels that knows the speaker vector."""

    def __init__(self, channels: int, speaker_dim: int) -> None:
        super().__init__()
        widths = (channels, 2 * channels, 3 * channels, 4 * channels)
        self.convs = nn.ModuleList(
            nn.Conv2d(here, there, 3 if number else (5, 5), stride=(2, 2) if number else (2, 1),
                      padding=1 if number else 2)
            for number, (here, there) in enumerate(zip((1, *widths), widths, strict=False))
        )  # fmt: skip
        self.speaker_in = nn.Linear(speaker_dim, widths[2])
        self.conv_out = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, mel: Tensor, speaker: Tensor) -> tuple[Tensor, list[Tensor]]:
        """mel: (b, 100, g); speaker: (b, s). Returns scores and the features of each layer."""
        hidden = ((mel - MEL_CENTER) / MEL_SCALE).unsqueeze(1)
        features = []
        for number, conv in enumerate(self.convs):
            hidden = conv(hidden)
            if number == 2:
                film = self.speaker_in(speaker * speaker.shape[1] ** 0.5)
                hidden = hidden + film[..., None, None]
            hidden = F.leaky_relu(hidden, LEAK)
            features.append(hidden)
        return self.conv_out(hidden), features


def compute_generator_loss(
    critic: MelCritic, fake: Tensor, speaker: Tensor, real: Tensor | None = None
) -> Tensor:
    """Return the LSGAN loss of generated mels, and their feature matching where `real` exists."""
    with autocast_bfloat16():
        scores, features = critic(fake, speaker)
    loss = ADVERSARIAL_WEIGHT * (1 - scores.float()).square().mean()
    if real is None:
        return loss
    with torch.no_grad(), autocast_bfloat16():
        _, wanted = critic(real, speaker)
    distances = [F.l1_loss(a.float(), b.float()) for a, b in zip(features, wanted, strict=True)]
    return loss + FEATURE_WEIGHT * torch.stack(distances).mean()


def compute_critic_loss(
    critic: MelCritic, fake: Tensor, fake_speaker: Tensor, real: Tensor, speaker: Tensor
) -> Tensor:
    """Return the LSGAN loss of the critic: ().  fake: (n b, 100, g), a multiple of `real`."""
    with autocast_bfloat16():
        scores, _ = critic(torch.cat([fake, real]), torch.cat([fake_speaker, speaker]))
    made, true = scores.float().split([len(fake), len(real)])
    return made.square().mean() + (1 - true).square().mean()


class MelConversion(nn.Module):
    """The vocoder's log-mel as energies in the bands of another mel, computed without a vocoder.

    It is spread over the spectrum by a pseudo-inverse and summed up in the bands of the other.
    """

    spread: Tensor  # (bins, 100)
    bank: Tensor  # (c, bins)

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        filters = mel_filterbank(VOCODER_MEL, torch.device("cpu"))
        self.register_buffer("spread", torch.linalg.pinv(filters))
        self.register_buffer("bank", _make_bank(spec, filters.shape[1]))

    def forward(self, mel: Tensor, frames: int) -> Tensor:
        """mel: (b, 100, g) natural log. Returns energies (b, c, frames)."""
        energies = self.bank @ (self.spread @ mel.float().exp()).clamp(min=0).square()
        return F.interpolate(energies, size=frames, mode="linear")


class SpeakerSimilarity(nn.Module):
    """Cosine of speaker vectors and the vectors of mels."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = deepcopy(encoder).requires_grad_(False)
        self.convert = MelConversion(GE2E_MEL)

    def forward(self, mel: Tensor, speaker: Tensor) -> Tensor:
        """mel: (b, 100, g) natural log; speaker: (b, 256). Returns the mean cosine ()."""
        return (self.embed(mel) * speaker).sum(1).mean()

    def embed(self, mel: Tensor) -> Tensor:
        """Return vectors of unit length (b, 256) of windows of at most 1.6 s."""
        seconds = mel.shape[-1] * VOCODER_MEL.hop / VOCODER_MEL.sample_rate
        frames = min(WINDOW_FRAMES, round(seconds * GE2E_MEL.sample_rate / GE2E_MEL.hop))
        return self.encoder(self.convert(mel, frames).transpose(1, 2))


def _make_bank(spec: MelSpec, bins: int) -> Tensor:
    """Return the filters of a mel over the bins of the vocoder's spectrum: (c, bins)."""
    own = mel_filterbank(spec, torch.device("cpu"))
    hz = torch.linspace(0, VOCODER_MEL.sample_rate / 2, bins)
    places = (hz / (spec.sample_rate / spec.n_fft)).clamp(max=own.shape[1] - 1)
    left = places.floor().long().clamp(max=own.shape[1] - 2)
    part = places - left
    bank = own[:, left] * (1 - part) + own[:, left + 1] * part
    bank[:, hz > spec.sample_rate / 2] = 0
    # a bin of a Hann window holds energy in proportion to window length and rate, and a filter sums
    # over bins in proportion to window length over rate
    return bank * (spec.n_fft / VOCODER_MEL.n_fft) ** 2

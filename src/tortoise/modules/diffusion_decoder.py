"""The diffusion network: it sees noisy mel beside what the GPT meant, and names the noise.

Parameter names are those of the published diffusion_decoder.pth.
Shapes: b batch, c mel bands, d model width, f mel frames, l latent width, m codes, k clips.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from tortoise.modules.attention import AttentionBlock, group_norm
from tortoise.modules.noise_schedule import gather_per_item, make_linear_schedule

NUM_FINAL_RES_BLOCKS = 3  # residual blocks without attention at the end of the trunk
MAX_PERIOD = 10_000.0  # of the sinusoidal time step embedding, in steps per radian

PredictionType = Literal["noise", "velocity"]
"""Prediction type of the output layer: the noise, or the velocity (arXiv:2202.00512, appendix D),
which is the noise where there is little of it and the mel where there is little else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionConfig:
    """The architecture of one diffusion network, saved beside its weights."""

    width: int = 1024
    layers: int = 10
    heads: int = 16
    mel_bands: int = 100
    latent_width: int = 1024  # of the GPT
    codes: int = 8193  # one more than the code book has, as published; unused where latents are fed
    code_depth: int = 3  # attention blocks that read codes
    latent_depth: int = 4  # attention blocks that read latents
    voice_depth: int = 5  # attention blocks of the conditioning encoder
    dropout: float = 0.0
    predicts: PredictionType = "noise"  # as published

    def __post_init__(self) -> None:
        if self.predicts not in get_args(PredictionType):
            raise ValueError(f"a diffusion network predicts noise or velocity; got {self.predicts}")
        if self.width % self.heads or self.width % 2 or self.layers < 1:
            raise ValueError(
                f"a diffusion network needs layers >= 1 and an even width that its heads divide; "
                f"got layers {self.layers}, width {self.width}, heads {self.heads}"
            )

    @classmethod
    def released(cls) -> DiffusionConfig:
        """The sizes of the published diffusion_decoder.pth."""
        return cls()

    @classmethod
    def tiny(cls) -> DiffusionConfig:
        """A size for tests."""
        return cls(width=16, layers=2, heads=2, mel_bands=8, latent_width=12, codes=17)


class DiffusionDecoder(nn.Module):
    """Noise and variance of one step (DiffusionTts of the original)."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        width, heads, bands = config.width, config.heads, config.mel_bands
        self.inp_block = nn.Conv1d(bands, width, 3, padding=1)
        self.time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.code_embedding = nn.Embedding(config.codes, width)
        self.code_converter = nn.Sequential(*make_attention_blocks(config.code_depth, width, heads))
        self.code_norm = group_norm(width)
        self.latent_conditioner = nn.Sequential(
            nn.Conv1d(config.latent_width, width, 3, padding=1),
            *make_attention_blocks(config.latent_depth, width, heads),
        )
        self.contextual_embedder = nn.Sequential(
            nn.Conv1d(bands, width, 3, padding=1, stride=2),
            nn.Conv1d(width, 2 * width, 3, padding=1, stride=2),
            *make_attention_blocks(config.voice_depth, 2 * width, heads),
        )
        self.unconditioned_embedding = nn.Parameter(torch.randn(1, width, 1))
        self.conditioning_timestep_integrator = nn.ModuleList(
            DiffusionLayer(width, heads, config.dropout) for _ in range(3)
        )
        self.integrating_conv = nn.Conv1d(2 * width, width, 1)
        self.mel_head = nn.Conv1d(width, bands, 3, padding=1)
        self.layers = nn.ModuleList(
            DiffusionLayer(width, heads, config.dropout) for _ in range(config.layers)
        )
        self.layers.extend(ResBlock(width, config.dropout) for _ in range(NUM_FINAL_RES_BLOCKS))
        named = zero_module(
            nn.Conv1d(width, 2 * bands, 3, padding=1)
        )  # a new network names no noise
        self.out = nn.Sequential(group_norm(width), nn.SiLU(), named)

    def get_conditioning(self, mels: Tensor | Sequence[Tensor]) -> Tensor:
        """Compute the speaker latent: one mean over the time of all clips.

        mels: (b, k, c, f) or k tensors (b, c, f_i), log-mel as of the vocoder, not normalised.
        Returns (b, 2 d), the scale and shift of `embed_latents`.
        """
        clips = mels.unbind(1) if isinstance(mels, Tensor) else mels
        embedded = [self.contextual_embedder(clip) for clip in clips]  # (b, 2 d, f_i / 4) each
        return torch.cat(embedded, dim=-1).mean(-1)

    def embed_latents(self, latents: Tensor, conditioning: Tensor) -> Tensor:
        """Embed GPT latents with the conditioning of a voice.

        latents: (b, m, l);  conditioning: (b, 2 d).  Returns (b, d, m).
        """
        return self._apply_conditioning(
            self.latent_conditioner(latents.transpose(1, 2)), conditioning
        )

    def embed_codes(self, codes: Tensor, conditioning: Tensor) -> Tensor:
        """Do the same from bare codes, as in the first phase of the published training.

        codes: (b, m) int64;  conditioning: (b, 2 d).  Returns (b, d, m).
        """
        embedded = self.code_embedding(codes).transpose(1, 2)
        return self._apply_conditioning(self.code_converter(embedded), conditioning)

    def _apply_conditioning(self, embedding: Tensor, conditioning: Tensor) -> Tensor:
        scale, shift = conditioning.unsqueeze(-1).chunk(2, dim=1)
        return self.code_norm(embedding) * (1 + scale) + shift

    def interpolate_to_frames(self, embedding: Tensor, frames: int) -> Tensor:
        """Repeat a code-rate embedding to mel frames: (b, d, m) to (b, d, frames)."""
        return functional.interpolate(embedding, size=frames, mode="nearest")

    def expand_unconditioned_embedding(self, like: Tensor) -> Tensor:
        """Return the unconditioned embedding in the shape of `like`: (b, d, f)."""
        return self.unconditioned_embedding.expand(like.shape[0], -1, like.shape[2])

    def predict_mel(self, embedding: Tensor) -> Tensor:
        """Predict the normalized mel directly, as in training: (b, d, f) to (b, c, f)."""
        return self.mel_head(embedding)

    def forward(
        self, x: Tensor, timesteps: Tensor, embedding: Tensor, skipped: Container[int] = ()
    ) -> Tensor:
        """Predict the noise in x.

        x: (b, c, f); timesteps: (b,) of the training schedule; embedding: (b, d, f); skipped: trunk
        layers to leave out (layer drop in training). Returns (b, 2 c, f) float32: the noise, then
        the interpolated log variance (-1 minimum, 1 maximum).
        """
        time = self.time_embed(timestep_embedding(timesteps, self.config.width))
        for layer in self.conditioning_timestep_integrator:
            embedding = layer(embedding, time)
        hidden = self.integrating_conv(torch.cat([self.inp_block(x), embedding], dim=1))
        for number, layer in enumerate(self.layers):
            if number not in skipped:
                hidden = layer(hidden, time)
        output: Tensor = self.out(hidden.float()).float()
        if self.config.predicts == "velocity":
            return noise_from_velocity(output, x, timesteps)
        return output

    def sample_skipped_layers(self, chance: float, generator: torch.Generator) -> frozenset[int]:
        """Draw which trunk layers one training step leaves out; never the first or the last."""
        draws = torch.rand(len(self.layers), generator=generator)
        inner = range(1, len(self.layers) - 1)
        return frozenset(number for number in inner if draws[number] < chance)

    def drop_conditioning(self, embedding: Tensor, forgotten: Tensor) -> Tensor:
        """Replace the embedding of whole items by the unconditioned one.

        embedding: (b, d, f);  forgotten: (b,) bool.  Returns (b, d, f).
        """
        return torch.where(forgotten[:, None, None], self.unconditioned_embedding, embedding)


def noise_from_velocity(output: Tensor, x: Tensor, timesteps: Tensor) -> Tensor:
    """Read the first half of an output as v = alpha noise - sigma mel, and name the noise.

    output: (b, 2 c, f);  x: (b, c, f) = alpha mel + sigma noise;  timesteps: (b,) of the training
    schedule.  Returns (b, 2 c, f).
    """
    velocity, spread = output.chunk(2, dim=1)
    abar = gather_per_item(make_linear_schedule().alphas_cumprod, timesteps, x)
    return torch.cat([abar.sqrt() * velocity + (1 - abar).sqrt() * x, spread], dim=1)


class DiffusionLayer(nn.Module):
    """A residual block conditioned on the time step, then attention over time."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.resblk = ResBlock(width, dropout)
        self.attn = AttentionBlock(width, heads, relative_positions=True)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x: (b, d, f);  time: (b, d).  Returns (b, d, f)."""
        return self.attn(self.resblk(x, time))


class ResBlock(nn.Module):
    """Two convolutions around a residual; the step scales and shifts between them."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(group_norm(width), nn.SiLU(), nn.Conv1d(width, width, 1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.out_layers = nn.Sequential(
            group_norm(width),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero_module(
                nn.Conv1d(width, width, 3, padding=1)
            ),  # a new block starts as the identity
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x: (b, d, f);  time: (b, d).  Returns (b, d, f)."""
        scale, shift = self.emb_layers(time).unsqueeze(-1).chunk(2, dim=1)
        norm, *rest = self.out_layers
        hidden = norm(self.in_layers(x)) * (1 + scale) + shift
        for layer in rest:
            hidden = layer(hidden)
        return x + hidden


def make_attention_blocks(count: int, width: int, heads: int) -> list[AttentionBlock]:
    """Attention blocks with relative positions, to be put in a row."""
    return [AttentionBlock(width, heads, relative_positions=True) for _ in range(count)]


def zero_module(conv: nn.Conv1d) -> nn.Conv1d:
    """Start a convolution at zero, so that what it feeds is untouched at first."""
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


def timestep_embedding(timesteps: Tensor, width: int) -> Tensor:
    """Write step numbers as cosines, then sines, of falling frequency: (b,) to (b, width)."""
    half = torch.arange(width // 2, dtype=torch.float32, device=timesteps.device)
    frequencies = torch.exp(-math.log(MAX_PERIOD) * half / (width // 2))
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)

"""CVVP: scores how well mel codes match a voice; an optional part of the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tortoise.modules.attention import AttentionBlock
from tortoise.modules.losses import compute_cosine_similarity, info_nce_loss
from tortoise.modules.transformer import Transformer


@dataclass(frozen=True, slots=True, kw_only=True)
class CvvpConfig:
    """The architecture of one CVVP, saved beside its weights."""

    mel_bands: int = 80
    codes: int | None = 8192
    """Codebook size, or None where the input is a mel spectrogram."""
    dim: int = 512
    heads: int = 8
    voice_depth: int = 8
    speech_depth: int = 8
    latent_multiplier: int = 1

    @classmethod
    def released(cls) -> CvvpConfig:
        """The sizes of the published cvvp.pth."""
        return cls()

    @classmethod
    def tiny(cls) -> CvvpConfig:
        """A size for tests."""
        return cls(mel_bands=8, codes=24, dim=16, heads=1, voice_depth=1, speech_depth=1)


class Cvvp(nn.Module):
    """Voice and codes meet in one space (parameter names of cvvp.pth)."""

    def __init__(self, config: CvvpConfig) -> None:
        super().__init__()
        self.config = config
        dim, latent_dim = config.dim, config.dim * config.latent_multiplier
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.cond_emb = nn.Sequential(
            nn.Conv1d(config.mel_bands, dim // 2, 5, stride=2, padding=2),
            nn.Conv1d(dim // 2, dim, 3, stride=2, padding=1),
        )
        self.conditioning_transformer = CollapsingTransformer(
            dim, latent_dim, config.voice_depth, config.heads
        )
        self.to_conditioning_latent = nn.Linear(latent_dim, latent_dim, bias=False)
        self.speech_emb = (
            nn.Conv1d(config.mel_bands, dim, 5, padding=2)
            if config.codes is None
            else CodeEmbedding(config.codes, dim)
        )
        self.speech_transformer = CollapsingTransformer(
            dim, latent_dim, config.speech_depth, config.heads
        )
        self.to_speech_latent = nn.Linear(latent_dim, latent_dim, bias=False)

    def encode_voice(self, mel: Tensor) -> Tensor:
        """mel: (k, c, f) normalised mel of clips.  Returns (k, d) latents."""
        return self.to_conditioning_latent(self.conditioning_transformer(self.cond_emb(mel)))

    def encode_speech(self, speech: Tensor) -> Tensor:
        """speech: (b, m) codes, or (b, c, f) mel.  Returns (b, d) latents."""
        return self.to_speech_latent(self.speech_transformer(self.speech_emb(speech)))

    def compare(self, voice_latents: Tensor, speech_latents: Tensor) -> Tensor:
        """voice_latents: (a, d);  speech_latents: (b, d).  Returns (a, b) scaled cosines."""
        return (
            compute_cosine_similarity(voice_latents, speech_latents)
            * self.temperature.float().exp()
        )

    def score(self, mel: Tensor, speech: Tensor) -> Tensor:
        """Score candidates by similarity to a voice, averaged over its clips; higher is better.

        mel: (k, c, f) clips of one voice;  speech: (b, m) codes.  Returns (b,).
        """
        return self.compare(self.encode_voice(mel), self.encode_speech(speech)).mean(0)

    def forward(self, mel: Tensor, speech: Tensor) -> Tensor:
        """The training loss of pairs.  mel: (b, c, f);  speech: (b, m).  Returns ()."""
        return info_nce_loss(self.compare(self.encode_voice(mel), self.encode_speech(speech)))


class CollapsingTransformer(nn.Module):
    """A transformer, one more attention over its answers, and their mean over time."""

    def __init__(self, dim: int, out_dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.transformer = Transformer(dim, depth, heads, feedforward_mult=1, wrapped=False)
        self.pre_combiner = nn.Sequential(
            nn.Conv1d(dim, out_dim, 1),
            AttentionBlock(out_dim, heads),
            nn.Conv1d(out_dim, out_dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, d, n).  Returns (b, d')."""
        hidden = self.transformer(x.transpose(1, 2)).transpose(1, 2)
        return self.pre_combiner(hidden).mean(-1)


class CodeEmbedding(nn.Module):
    """Codes as channels-first vectors."""

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(codes, dim)

    def forward(self, codes: Tensor) -> Tensor:
        """codes: (b, m).  Returns (b, d, m)."""
        return self.emb(codes).transpose(1, 2)

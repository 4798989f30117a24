"""CLVP: scores how well mel codes match a text, to rank candidates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tortoise.modules.losses import (
    compute_cosine_similarity,
    compute_ctc_nll,
    info_nce_loss,
    mean_over_time,
    remove_special_tokens,
)
from tortoise.modules.transformer import Transformer


@dataclass(frozen=True, slots=True, kw_only=True)
class ClvpConfig:
    """The architecture of one CLVP, saved beside its weights."""

    text_tokens: int = 256
    codes: int = 8192
    text_dim: int = 768
    speech_dim: int = 768
    latent_dim: int = 768
    text_depth: int = 20
    speech_depth: int = 20
    text_heads: int = 12
    speech_heads: int = 12
    spells: bool = False
    """Whether the speech encoder has a CTC head; published weights have none."""

    @classmethod
    def released(cls) -> ClvpConfig:
        """The sizes of the published clvp2.pth."""
        return cls()

    @classmethod
    def tiny(cls) -> ClvpConfig:
        """A size for tests."""
        return cls(
            text_tokens=40, codes=24, text_dim=32, speech_dim=32, latent_dim=16,
            text_depth=1, speech_depth=1, text_heads=1, speech_heads=1,
        )  # fmt: skip


class Clvp(nn.Module):
    """Text and codes are embedded in one space (parameter names of clvp2.pth).

    Published weights were trained without padding masks and are used so; our own models use masks,
    which exclude padding from attention and from the mean. A model with a CTC head adds the log
    probability of the text: the cosine of two whole sentences is insensitive to a single wrong
    sound, and candidates of one text differ by such sounds.
    """

    def __init__(self, config: ClvpConfig) -> None:
        super().__init__()
        self.config = config
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.text_emb = nn.Embedding(config.text_tokens, config.text_dim)
        self.text_transformer = ClvpEncoder(config.text_dim, config.text_depth, config.text_heads)
        self.to_text_latent = nn.Linear(config.text_dim, config.latent_dim, bias=False)
        self.speech_emb = nn.Embedding(config.codes, config.speech_dim)
        self.speech_transformer = ClvpEncoder(
            config.speech_dim, config.speech_depth, config.speech_heads
        )
        self.to_speech_latent = nn.Linear(config.speech_dim, config.latent_dim, bias=False)
        if config.spells:
            self.to_symbols = nn.Linear(config.speech_dim, config.text_tokens)

    def encode_text(self, text: Tensor, mask: Tensor | None = None) -> Tensor:
        """text: (b, t) ids;  mask: (b, t), true where real.  Returns (b, d) latents."""
        hidden = self.text_transformer(self.text_emb(text), mask)
        return self.to_text_latent(mean_over_time(hidden, mask))

    def encode_speech(self, codes: Tensor, mask: Tensor | None = None) -> Tensor:
        """codes: (b, m);  mask: (b, m), true where real.  Returns (b, d) latents."""
        return self.project_speech_states(self.encode_speech_states(codes, mask), mask)

    def encode_speech_states(self, codes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the speech encoder's state of every code: (b, m) to (b, m, d)."""
        return self.speech_transformer(self.speech_emb(codes), mask)

    def project_speech_states(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool the states of all codes to one latent: (b, m, d) to (b, d')."""
        return self.to_speech_latent(mean_over_time(states, mask))

    def compare(self, text_latents: Tensor, speech_latents: Tensor) -> Tensor:
        """text_latents: (a, d);  speech_latents: (b, d).  Returns (a, b) scaled cosines."""
        return (
            compute_cosine_similarity(text_latents, speech_latents) * self.temperature.float().exp()
        )

    def score(
        self,
        text: Tensor,
        codes: Tensor,
        mask: Tensor | None = None,
        text_latent: Tensor | None = None,
    ) -> Tensor:
        """Score candidates of one text, which is encoded once; higher is better.

        text: (1, t) ids; codes: (b, m); mask: (b, m) of the codes; text_latent: (1, d) of
        `encode_text`, where several batches share a text. Returns (b,): scaled cosines plus the CTC
        log-probability of the text.
        """
        states = self.encode_speech_states(codes, mask)
        said = self.encode_text(text) if text_latent is None else text_latent
        fit = self.compare(said, self.project_speech_states(states, mask))[0]
        if not self.config.spells:
            return fit
        lengths = torch.full(codes.shape[:1], codes.shape[1]) if mask is None else mask.sum(1)
        targets = [remove_special_tokens(text[0])] * len(codes)
        return fit - compute_ctc_nll(self.to_symbols, states, lengths, targets).to(fit.device)

    def forward(
        self,
        text: Tensor,
        codes: Tensor,
        text_mask: Tensor | None = None,
        codes_mask: Tensor | None = None,
    ) -> Tensor:
        """The training loss of pairs.

        text: (b, t);  codes: (b, m);  masks: the same shapes, true where real.  Returns ().
        """
        text_latents = self.encode_text(text, text_mask)
        return info_nce_loss(self.compare(text_latents, self.encode_speech(codes, codes_mask)))


class ClvpEncoder(nn.Module):
    """CLVP's transformer, one name level above the shared one."""

    def __init__(self, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.transformer = Transformer(dim, depth, heads, feedforward_mult=2, wrapped=True)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (b, n, d);  mask: (b, n).  Returns (b, n, d)."""
        return self.transformer(x, mask)

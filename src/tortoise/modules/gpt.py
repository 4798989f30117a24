"""The autoregressive network: from a voice and a text to the codes of speech (UnifiedVoice).

One sequence is `voice | start text … 0 0 | start codes …`; positions count from 0 in the text and
again in the codes, and the voice has none. Parameter names are those of autoregressive.pth.

Shapes: b batch, t text tokens, m mel codes, k clips, d model width, h heads, n sequence length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tortoise.modules.attention import AttentionBlock
from tortoise.modules.text_aligner import TextAligner


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GptConfig:
    """Sizes of the network; the defaults are those of the published weights.

    aligner_width: of the `TextAligner`; 0, as published, has none.
    """

    layers: int = 30
    model_dim: int = 1024
    heads: int = 16
    max_text_tokens: int = 402
    max_mel_tokens: int = 604
    max_conditioning_inputs: int = 2
    number_text_tokens: int = 256  # rows of the table, the start token included
    start_text_token: int = 255
    stop_text_token: int = 0
    number_mel_codes: int = 8194  # rows of the table, start and stop included
    start_mel_token: int = 8192
    stop_mel_token: int = 8193
    mel_bands: int = 80
    samples_per_code: int = 1024
    conditioning_depth: int = 6
    residual_from_norm: bool = False  # as the conditioning encoder of DL-Art-School has it
    dropout: float = 0.1
    attention_dropout: float = 0.1
    aligner_width: int = 0
    aligner_depth: int = 5

    def __post_init__(self) -> None:
        if self.model_dim % self.heads:
            raise ValueError(f"model_dim {self.model_dim} must be a multiple of heads {self.heads}")
        if max(self.start_text_token, self.stop_text_token) >= self.number_text_tokens:
            raise ValueError("start_text_token, stop_text_token must be below number_text_tokens")
        if max(self.start_mel_token, self.stop_mel_token) >= self.number_mel_codes:
            raise ValueError("start_mel_token, stop_mel_token must be below number_mel_codes")

    @classmethod
    def released(cls) -> GptConfig:
        return cls()

    @classmethod
    def tiny(cls) -> GptConfig:
        """A size that a test runs in milliseconds."""
        return cls(
            layers=2,
            model_dim=32,
            heads=2,
            max_text_tokens=60,
            max_mel_tokens=60,
            number_mel_codes=66,
            start_mel_token=64,
            stop_mel_token=65,
            conditioning_depth=2,
            dropout=0.0,
            attention_dropout=0.0,
        )

    @property
    def codes(self) -> int:
        """The number of codes without start and stop."""
        return min(self.start_mel_token, self.stop_mel_token)


class Gpt(nn.Module):
    """Conditioning encoder, GPT-2 over text and codes, and one head for each."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.config = config
        d = config.model_dim
        self.conditioning_encoder = ConditioningEncoder(
            config.mel_bands,
            d,
            config.heads,
            config.conditioning_depth,
            config.residual_from_norm,
        )
        self.text_embedding = nn.Embedding(config.number_text_tokens, d)
        self.mel_embedding = nn.Embedding(config.number_mel_codes, d)
        self.text_pos_embedding = LearnedPositionEmbedding(config.max_text_tokens + 2, d)
        self.mel_pos_embedding = LearnedPositionEmbedding(
            config.max_mel_tokens + 2 + config.max_conditioning_inputs, d
        )
        self.gpt = Gpt2(config)
        self.final_norm = nn.LayerNorm(d)
        self.text_head = nn.Linear(d, config.number_text_tokens)
        self.mel_head = nn.Linear(d, config.number_mel_codes)
        self.aligner = (
            TextAligner(config.number_text_tokens, d, config.aligner_width, config.aligner_depth)
            if config.aligner_width
            else None
        )
        for table in (self.text_embedding, self.mel_embedding):
            nn.init.normal_(table.weight, std=0.02)

    def condition(self, mel: Tensor) -> Tensor:
        """One latent per voice: the mean over its clips.

        mel: (b, c, f) one clip each, or (b, k, c, f).  Returns (b, d).
        """
        if mel.dim() == 3:
            latent: Tensor = self.conditioning_encoder(mel)
            return latent
        b, k = mel.shape[:2]
        latents: Tensor = self.conditioning_encoder(mel.flatten(0, 1))
        return latents.view(b, k, -1).mean(1)

    def text_inputs(self, text: Tensor) -> Tensor:
        """Return the input for a text: start, its tokens and an additional stop.

        text: (b, t) token ids ended by a stop already, as the original does.  Returns (b, t + 2).
        """
        stopped = F.pad(text.long(), (0, 1), value=self.config.stop_text_token)
        return F.pad(stopped, (1, 0), value=self.config.start_text_token)

    def embed_text(self, inputs: Tensor) -> Tensor:
        """inputs: (b, t) tokens, the first at position 0.  Returns (b, t, d)."""
        embedded: Tensor = self.text_embedding(inputs) + self.text_pos_embedding(inputs.shape[1])
        return embedded

    def embed_codes(self, inputs: Tensor) -> Tensor:
        """inputs: (b, m) codes, the first at position 0.  Returns (b, m, d)."""
        embedded: Tensor = self.mel_embedding(inputs) + self.mel_pos_embedding(inputs.shape[1])
        return embedded

    def prefix(self, conditioning: Tensor, text: Tensor) -> Tensor:
        """All that comes before the first code.

        conditioning: (b, d);  text: (b, t) ended by a stop.  Returns (b, 1 + t + 2, d).
        """
        return torch.cat([conditioning[:, None], self.embed_text(self.text_inputs(text))], dim=1)

    def states(self, embedded: Tensor) -> Tensor:
        """Return the hidden states at every position. embedded: (b, n, d). Returns (b, n, d)."""
        states: Tensor = self.final_norm(self.gpt(embedded))
        return states

    def latents(
        self, conditioning: Tensor, text: Tensor, codes: Tensor, aligned: Tensor | None = None
    ) -> Tensor:
        """Return the hidden state that predicts each code, the input of the decoders.

        conditioning: (b, d);  text: (b, t) ended by a stop;  codes: (b, m);  aligned: (b, m, d) of
        the aligner, where the network has one. Returns (b, m, d).
        """
        inputs = F.pad(codes, (1, 0), value=self.config.start_mel_token)[:, :-1]
        embedded = self.embed_codes(inputs)
        if aligned is not None:
            embedded = embedded + aligned
        embedded = torch.cat([self.prefix(conditioning, text), embedded], dim=1)
        return self.states(embedded)[:, -codes.shape[1] :]


class LearnedPositionEmbedding(nn.Module):
    """A table of positions, counted from 0."""

    def __init__(self, positions: int, width: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(positions, width)
        nn.init.normal_(self.emb.weight, std=0.02)

    def forward(self, n: int) -> Tensor:
        """The first n positions: (n, d)."""
        if n > self.emb.num_embeddings:
            raise ValueError(f"{n} positions requested; the network has {self.emb.num_embeddings}")
        return self.emb.weight[:n]


class Gpt2(nn.Module):
    """Pre-norm transformer without positions of its own, closed by a norm."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(config.model_dim)

    @property
    def blocks(self) -> list[Block]:
        """The layers, in order."""
        return cast("list[Block]", list(self.h))

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, n, d).  Returns (b, n, d); each position sees itself and those before."""
        x = self.drop(x)
        for block in self.h:
            x = block(x)
        normed: Tensor = self.ln_f(x)
        return normed


class Block(nn.Module):
    """Attention and feed-forward, each around a residual."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.model_dim)
        self.attn: Attention = Attention(config)
        self.ln_2 = nn.LayerNorm(config.model_dim)
        self.mlp = FeedForward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.attn(self.ln_1(x)))
        through: Tensor = x + self.drop(self.mlp(self.ln_2(x)))
        return through


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        d = config.model_dim
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.c_attn = Projection(d, 3 * d)
        self.c_proj = Projection(d, d, std=0.02 / math.sqrt(2 * config.layers))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (b, n, d).  Returns query, key and value: (b, h, n, d / h) each."""
        b, n, d = x.shape
        q, k, v = self.c_attn(x).view(b, n, 3, self.heads, d // self.heads).unbind(2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        dropout = self.dropout if self.training else 0.0
        if q.device.type == "cpu" and q.requires_grad and not dropout:
            mixed = _causal_attention_cpu(q, k, v)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        projected: Tensor = self.c_proj(mixed.transpose(1, 2).flatten(2))
        return projected


def _causal_attention_cpu(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention as explicit matrix products; q, k, v: (b, h, n, e).

    Returns the same shape. Torch's fused kernel takes three times as long on CPU when a gradient is
    computed (measured: 73 against 23 ms for 32 rows of 130 in bfloat16).
    """
    n, e = q.shape[-2:]
    future = torch.full((n, n), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    scores = torch.baddbmm(future, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=e**-0.5)
    return torch.bmm(scores.softmax(-1).to(v.dtype), v.flatten(0, 1)).view_as(q)


class FeedForward(nn.Module):
    """Two projections with the tanh form of GELU between."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        d = config.model_dim
        self.c_fc = Projection(d, 4 * d)
        self.c_proj = Projection(4 * d, d, std=0.02 / math.sqrt(2 * config.layers))

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return projected


class Projection(nn.Module):
    """A linear map whose weight is stored (in, out), as GPT-2's checkpoints have it."""

    def __init__(self, inputs: int, outputs: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x: (…, in).  Returns (…, out)."""
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], -1)

"""Pee Wee's Tacotron 2 with the speaker embedding at every encoded character (arXiv:1712.05884).

Shapes: b batch, t characters, f mel frames, m mel bands, s speaker embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv2tts.modules.cbhg import dropout
from sv2tts.text import PEEWEE_CHARACTERS

STOP_PROBABILITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tacotron2Config:
    """The architecture; the defaults are Pee Wee's configuration."""

    characters: str = PEEWEE_CHARACTERS
    n_mels: int = 80
    embedding_size: int = 512
    speaker_embedding_size: int = 256
    num_layers: tuple[int, int, int] = (3, 2, 5)  # encoder convolutions, pre-net, post-net
    encoder_conv_kernel_size: int = 5
    lstm_hidden_size: int = 256
    prenet_hidden_size: int = 256
    encoder_lstm_hidden_size: int = 1024
    location_hidden_dim: int = 128
    location_n_filters: int = 32
    location_kernel_size: int = 31
    attn_inverse_temperature: float = 1.0
    decoder_lstm_hidden_size: int = 1024
    postnet_embedding_dim: int = 512
    postnet_kernel_size: int = 5
    dropout: float = 0.5
    per_frame_postnet: bool = True  # as published: the post-net sees one frame at a time

    @property
    def memory_size(self) -> int:
        """The width of an encoded character, with the speaker embedding in front."""
        return self.speaker_embedding_size + 2 * self.lstm_hidden_size

    @classmethod
    def tiny(cls) -> Tacotron2Config:
        """The size that tests run on."""
        return cls(embedding_size=12, num_layers=(1, 2, 2), lstm_hidden_size=6,
                   prenet_hidden_size=8, encoder_lstm_hidden_size=14, location_hidden_dim=8,
                   location_n_filters=4, location_kernel_size=7, decoder_lstm_hidden_size=14,
                   postnet_embedding_dim=8)  # fmt: skip


class Tacotron2Output(NamedTuple):
    """What the network returns.

    before_postnet, after_postnet: (b, f, m); stop: (b, f) logits; attention: (b, f, t).
    """

    before_postnet: Tensor
    after_postnet: Tensor
    stop: Tensor
    attention: Tensor


class _Linear(nn.Module):
    def __init__(self, in_size: int, out_size: int, bias: bool = True):
        super().__init__()
        self.linear_layer = nn.Linear(in_size, out_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.linear_layer(x))


class _Conv(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel: int, bias: bool = True):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(x))


def _conv_block(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(_Conv(in_channels, out_channels, kernel), nn.BatchNorm1d(out_channels))


class _PreNet(nn.Module):
    def __init__(self, in_size: int, size: int, layers: int):
        super().__init__()
        sizes = [in_size, *[size] * layers]
        self.linear_layers = nn.ModuleList(
            _Linear(before, after, bias=False) for before, after in pairwise(sizes)
        )

    def forward(self, x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
        for layer in self.linear_layers:
            x = dropout(F.relu(layer(x)), rate, generator)
        return x


class _LocationSensitiveAttention(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        hidden, kernel = config.location_hidden_dim, config.location_kernel_size
        self.temperature = config.attn_inverse_temperature
        self.query_layer = _Linear(config.encoder_lstm_hidden_size, hidden, bias=False)
        self.value_layer = _Linear(config.memory_size, hidden, bias=False)
        self.score_layer = _Linear(hidden, 1, bias=False)
        self.location_conv = _Conv(2, config.location_n_filters, kernel, bias=False)
        self.location_linear = _Linear(config.location_n_filters, hidden, bias=False)

    def forward(self, query: Tensor, keys: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
        """query: (b, q); keys: (b, t, h); weights: (b, 2, t) last and cumulative; mask: (b, t)."""
        location = self.location_linear(self.location_conv(weights).transpose(1, 2))
        query = self.query_layer(query).unsqueeze(1)
        energy = self.score_layer(torch.tanh(query + keys + location)).squeeze(-1)
        energy = energy.masked_fill(mask, float("-inf"))
        return F.softmax(energy * self.temperature, dim=-1)


class _PostNet(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        middle = [config.postnet_embedding_dim] * (config.num_layers[2] - 1)
        sizes = [config.n_mels, *middle, config.n_mels]
        self.layers = nn.ModuleList(
            _conv_block(before, after, config.postnet_kernel_size)
            for before, after in pairwise(sizes)
        )

    def forward(self, x: Tensor, rate: float) -> Tensor:
        """x: (b, m, f)."""
        for layer in self.layers[:-1]:
            x = F.dropout(torch.tanh(layer(x)), rate, self.training)
        return F.dropout(self.layers[-1](x), rate, self.training)


@dataclass(frozen=True, slots=True)
class _Memory:
    """The encoded text that the decoder attends to, the same in every step."""

    values: Tensor  # (b, t, memory_size)
    keys: Tensor  # (b, t, location_hidden_dim)
    padding: Tensor  # (b, t) whether a place is padding


@dataclass(slots=True)
class _State:
    encoder: tuple[Tensor, Tensor]
    decoder: tuple[Tensor, Tensor]
    context: Tensor  # (b, memory_size)
    weights: Tensor  # (b, 2, t) last and cumulative


class Tacotron2(nn.Module):
    """Text and a speaker embedding to a mel spectrogram; parameters are named as Pee Wee's."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.config = config
        size, memory = config.embedding_size, config.memory_size
        self.character_embedding = nn.Embedding(len(config.characters) + 1, size, padding_idx=0)
        self.conv_layers = nn.ModuleList(
            _conv_block(size, size, config.encoder_conv_kernel_size)
            for _ in range(config.num_layers[0])
        )
        self.bidirectional_lstm = nn.LSTM(
            size, config.lstm_hidden_size, batch_first=True, bidirectional=True
        )
        prenet = config.prenet_hidden_size
        self.prenet = _PreNet(config.n_mels, prenet, config.num_layers[1])
        self.encoder_lstm = nn.LSTMCell(prenet + memory, config.encoder_lstm_hidden_size)
        self.location_sensitive_attention = _LocationSensitiveAttention(config)
        hidden = config.decoder_lstm_hidden_size
        self.decoder_lstm = nn.LSTMCell(config.encoder_lstm_hidden_size + memory, hidden)
        self.decoder_projection = _Linear(hidden, config.n_mels)
        self.stop_token_projection = _Linear(hidden + memory, 1)
        self.postnet = _PostNet(config)

    def encode_text(self, chars: Tensor) -> Tensor:
        """Encode characters (b, t), 0 is padding: (b, t, 2 * lstm_hidden_size)."""
        x = self.character_embedding(chars).transpose(1, 2)
        for layer in self.conv_layers:
            x = F.dropout(F.relu(layer(x)), self.config.dropout, self.training)
        encoded: Tensor = self.bidirectional_lstm(x.transpose(1, 2))[0]
        return encoded

    def forward(
        self,
        chars: Tensor,
        speaker: Tensor,
        mel: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tacotron2Output:
        """Predict each mel frame from the true ones before it.

        chars: (b, t); speaker: (b, s); mel: (b, f, m).
        """
        frames = F.pad(mel, (0, 0, 1, 0))[:, :-1]
        memory = self._memory(chars, speaker)
        state, steps = self._initial_state(memory.values), []
        for frame in frames.unbind(1):
            *step, state = self._step(frame, memory, state, generator)
            steps.append(step)
        return self._collect(steps)

    @torch.inference_mode()
    def generate(
        self,
        chars: Tensor,
        speaker: Tensor,
        generator: torch.Generator | None = None,
        max_frames: int = 1_000,
    ) -> Tacotron2Output:
        """Generate a mel of at most max_frames frames. chars: (1, t); speaker: (1, s)."""
        memory = self._memory(chars, speaker)
        state, steps = self._initial_state(memory.values), []
        frame = memory.values.new_zeros(len(chars), self.config.n_mels)
        for _ in range(max_frames):
            *step, state = self._step(frame, memory, state, generator)
            steps.append(step)
            frame = step[0]
            if bool((torch.sigmoid(step[1]) > STOP_PROBABILITY).all()):
                break
        return self._collect(steps)

    def _memory(self, chars: Tensor, speaker: Tensor) -> _Memory:
        encoded = self.encode_text(chars)
        repeated = speaker.unsqueeze(1).expand(-1, encoded.shape[1], -1)
        values = torch.cat([repeated, encoded], dim=-1)
        return _Memory(values, self.location_sensitive_attention.value_layer(values), chars == 0)

    def _initial_state(self, memory: Tensor) -> _State:
        batch, steps, width = memory.shape

        def zeros(size: int) -> tuple[Tensor, Tensor]:
            return memory.new_zeros(batch, size), memory.new_zeros(batch, size)

        return _State(
            zeros(self.config.encoder_lstm_hidden_size),
            zeros(self.config.decoder_lstm_hidden_size),
            memory.new_zeros(batch, width),
            memory.new_zeros(batch, 2, steps),
        )

    def _step(
        self,
        frame: Tensor,
        memory: _Memory,
        state: _State,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor, Tensor, _State]:
        """Return mel (b, m), stop logit (b,), attention (b, t), the next state."""
        attention = self.location_sensitive_attention
        prenet = self.prenet(frame, self.config.dropout, generator)
        encoder = self.encoder_lstm(torch.cat([prenet, state.context], dim=-1), state.encoder)
        weights = attention(encoder[0], memory.keys, state.weights, memory.padding)
        context = (weights.unsqueeze(1) @ memory.values).squeeze(1)
        decoder = self.decoder_lstm(torch.cat([context, encoder[0]], dim=-1), state.decoder)
        stop = self.stop_token_projection(torch.cat([decoder[0], context], dim=-1)).squeeze(-1)
        history = torch.stack([weights, state.weights[:, 1] + weights], dim=1)
        mel = self.decoder_projection(decoder[0])
        return mel, stop, weights, _State(encoder, decoder, context, history)

    def _collect(self, steps: list[list[Tensor]]) -> Tacotron2Output:
        mel, stop, attention = (torch.stack(part, dim=1) for part in zip(*steps, strict=True))
        return Tacotron2Output(mel, mel + self._refine(mel), stop, attention)

    def _refine(self, mel: Tensor) -> Tensor:
        """Return what the post-net adds to a mel (b, f, m)."""
        if self.config.per_frame_postnet:
            frames: Tensor = self.postnet(mel.reshape(-1, mel.shape[-1], 1), self.config.dropout)
            return frames.view(mel.shape)
        refined: Tensor = self.postnet(mel.transpose(1, 2), self.config.dropout)
        return refined.transpose(1, 2)

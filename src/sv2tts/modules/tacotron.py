"""Tacotron with a speaker embedding, as Real-Time Voice Cloning published it.

Papers: arXiv:1703.10135 (Tacotron), 1506.07503 (location-sensitive attention), 1806.04558 (speaker
embedding), 1606.01305 (zoneout). Shapes: b batch, t characters, f mel frames, m mel bands,
s speaker embedding, r frames per decoder step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sv2tts.modules.cbhg import CBHG, PreNet
from sv2tts.modules.location_attention import LocationSensitiveAttention
from sv2tts.modules.recurrent_cells import gru_step, run_cell

MAX_R = 20  # frames that the published mel_proj has; the first r of them are used
ZONEOUT = 0.1
MIN_FRAMES = 10  # generation does not stop before
STOP_PROBABILITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TacotronConfig:
    """The architecture; the defaults are the published synthesizer.pt."""

    num_chars: int = 66
    embed_dims: int = 512
    encoder_dims: int = 256
    decoder_dims: int = 128
    n_mels: int = 80
    fft_bins: int = 80
    postnet_dims: int = 512
    encoder_K: int = 5
    lstm_dims: int = 1024
    postnet_K: int = 5
    num_highways: int = 4
    dropout: float = 0.5  # of the decoder's pre-net, also when speaking
    encoder_dropout: float = 0.5
    stop_threshold: float = -3.4  # trailing frames whose maximum is below it are silence
    speaker_embedding_size: int = 256
    max_r: int = MAX_R

    @property
    def context_dims(self) -> int:
        """The width of an encoded character, with the speaker embedding."""
        return self.encoder_dims + self.speaker_embedding_size

    @classmethod
    def tiny(cls) -> TacotronConfig:
        """The size that tests run on."""
        return cls(embed_dims=10, encoder_dims=12, decoder_dims=10, n_mels=80, fft_bins=80,
                   postnet_dims=8, encoder_K=3, lstm_dims=14, postnet_K=3, num_highways=1,
                   speaker_embedding_size=256)  # fmt: skip


class TacotronOutput(NamedTuple):
    """What the network returns.

    mel_decoder, mel_postnet: (b, m, f) before and after the post-net; attention: (b, f / r, t);
    stop: (b, f) probabilities that the speech has ended.
    """

    mel_decoder: Tensor
    mel_postnet: Tensor
    attention: Tensor
    stop: Tensor


class Encoder(nn.Module):
    """Character embedding, pre-net and CBHG; the speaker embedding is concatenated at the end."""

    def __init__(self, config: TacotronConfig):
        super().__init__()
        dims = config.encoder_dims
        self.embedding = nn.Embedding(config.num_chars, config.embed_dims)
        self.pre_net = PreNet(config.embed_dims, dims, dims, config.encoder_dropout)
        self.cbhg = CBHG(config.encoder_K, dims, dims, (dims, dims), config.num_highways)

    def forward(self, chars: Tensor, speaker: Tensor, generator: torch.Generator | None) -> Tensor:
        """chars: (b, t), speaker: (b, s). Returns (b, t, encoder_dims + s)."""
        x = self.pre_net(self.embedding(chars), generator)
        x = self.cbhg(x.transpose(1, 2))
        return torch.cat([x, speaker.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)


@dataclass(slots=True)
class DecoderState:
    """What one decoder step hands to the next."""

    attention_hidden: Tensor  # (b, decoder_dims)
    context: Tensor  # (b, context_dims)
    cumulative: Tensor  # (b, t)
    lstm1: tuple[Tensor, Tensor]  # (b, lstm_dims) each
    lstm2: tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Memory:
    """The encoded text that the decoder attends to."""

    values: Tensor  # (b, t, context_dims)
    keys: Tensor  # (b, t, decoder_dims), with the bias of the location layer
    mask: Tensor  # (b, t) 1 for a character, 0 for padding
    kernel: Tensor  # (k, decoder_dims) of the location layer


class Decoder(nn.Module):
    """One step makes r mel frames from the last frame and the text."""

    r: Tensor

    def __init__(self, config: TacotronConfig):
        super().__init__()
        self.config = config
        self.register_buffer("r", torch.tensor(1, dtype=torch.int32))
        prenet_dims = config.decoder_dims * 2
        self.prenet = PreNet(config.n_mels, prenet_dims, prenet_dims, config.dropout)
        self.attn_net = LocationSensitiveAttention(config.decoder_dims)
        self.attn_rnn = nn.GRUCell(config.context_dims + prenet_dims, config.decoder_dims)
        self.rnn_input = nn.Linear(config.context_dims + config.decoder_dims, config.lstm_dims)
        self.res_rnn1 = nn.LSTMCell(config.lstm_dims, config.lstm_dims)
        self.res_rnn2 = nn.LSTMCell(config.lstm_dims, config.lstm_dims)
        self.mel_proj = nn.Linear(config.lstm_dims, config.n_mels * config.max_r, bias=False)
        self.stop_proj = nn.Linear(config.context_dims + config.lstm_dims, 1)

    def initial_state(self, memory: Memory) -> DecoderState:
        batch, steps, width = memory.values.shape

        def zeros(size: int) -> Tensor:
            return memory.values.new_zeros(batch, size)

        lstm = self.config.lstm_dims
        return DecoderState(
            zeros(self.config.decoder_dims),
            zeros(width),
            zeros(steps),
            (zeros(lstm), zeros(lstm)),
            (zeros(lstm), zeros(lstm)),
        )

    def forward(
        self, frame: Tensor, memory: Memory, state: DecoderState, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, DecoderState]:
        """frame: (b, m). Returns mel (b, m, r), attention (b, t), stop (b, 1), the next state."""
        x, weights, after = self.advance(self.prenet(frame, generator), memory, state)
        mel, stop = self.project(x, after.context)
        return mel, weights, stop, after

    def advance(
        self, prenet: Tensor, memory: Memory, state: DecoderState
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """Do one step. prenet: (b, p). Returns x (b, lstm_dims), attention (b, t), the state."""
        hidden = self.attn_rnn(torch.cat([state.context, prenet], dim=-1), state.attention_hidden)
        weights = self.attn_net(memory.keys, hidden, state.cumulative, memory.mask, memory.kernel)
        context = (weights.unsqueeze(1) @ memory.values).squeeze(1)
        x = self.rnn_input(torch.cat([context, hidden], dim=-1))
        lstm1 = self._residual(self.res_rnn1, x, state.lstm1)
        x = x + lstm1[0]
        lstm2 = self._residual(self.res_rnn2, x, state.lstm2)
        x = x + lstm2[0]
        after = DecoderState(hidden, context, state.cumulative + weights, lstm1, lstm2)
        return x, weights, after

    def advance_all(self, prenets: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Do all steps of known frames; the attention does not depend on the LSTMs behind it.

        prenets: (b, d, p). Returns x (b, d, lstm_dims), context (b, d, c), attention (b, d, t).
        """
        state, rnn = self.initial_state(memory), self.attn_rnn
        hidden, context, cumulative = state.attention_hidden, state.context, state.cumulative
        of_context, of_prenet = rnn.weight_ih.split((context.shape[-1], prenets.shape[-1]), dim=1)
        hiddens, contexts, attention = [], [], []
        for given in F.linear(prenets, of_prenet, rnn.bias_ih).unbind(1):
            inner = F.linear(hidden, rnn.weight_hh, rnn.bias_hh)
            hidden = gru_step(given + F.linear(context, of_context), inner, hidden)
            weights = self.attn_net(memory.keys, hidden, cumulative, memory.mask, memory.kernel)
            context = (weights.unsqueeze(1) @ memory.values).squeeze(1)
            cumulative = cumulative + weights
            hiddens.append(hidden)
            contexts.append(context)
            attention.append(weights)
        seen = torch.stack(contexts, 1)
        x = self.rnn_input(torch.cat([seen, torch.stack(hiddens, 1)], dim=-1))
        x = x + self._run_lstm(self.res_rnn1, x)
        x = x + self._run_lstm(self.res_rnn2, x)
        return x, seen, torch.stack(attention, 1)

    def advance_along(
        self, prenets: Tensor, memory: Memory, alignment: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do all steps of known frames with a known attention, (b, d, t); without zoneout.

        prenets: (b, d, p). Returns x (b, d, lstm_dims), context (b, d, c), and the attention
        (b, d, t) that each step predicts from the known attention before it. Each recurrent layer
        is one call.
        """
        contexts = alignment @ memory.values
        before = F.pad(contexts, (0, 0, 1, -1))
        hiddens = run_cell(self.attn_rnn, torch.cat([before, prenets], dim=-1))
        cumulative = alignment.cumsum(1) - alignment
        keys, mask = memory.keys.unsqueeze(1), memory.mask.unsqueeze(1)
        attention = self.attn_net(keys, hiddens, cumulative, mask, memory.kernel)
        x = self.rnn_input(torch.cat([contexts, hiddens], dim=-1))
        x = x + run_cell(self.res_rnn1, x)
        x = x + run_cell(self.res_rnn2, x)
        return x, contexts, attention

    def _run_lstm(self, cell: nn.LSTMCell, x: Tensor) -> Tensor:
        """Run a cell over all steps: (b, d, l) -> (b, d, l)."""
        hidden = x.new_zeros(len(x), cell.hidden_size, dtype=torch.float32)
        memory, made = hidden, []
        for given in F.linear(x, cell.weight_ih, cell.bias_ih).unbind(1):
            gates = given + F.linear(hidden, cell.weight_hh, cell.bias_hh)
            enter, forget, fresh, leave = gates.chunk(4, dim=-1)
            memory = forget.sigmoid() * memory + enter.sigmoid() * fresh.tanh()
            hidden = self._zone_out(leave.sigmoid() * memory.tanh(), hidden)
            made.append(hidden)
        return torch.stack(made, 1)

    def project(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mel (..., m, r) and stop (..., 1) of steps. x: (..., lstm_dims)."""
        frames = self.mel_proj.weight.unflatten(0, (self.config.n_mels, self.config.max_r))
        used = frames[:, : int(self.r)]
        mel = F.linear(x, used.flatten(0, 1)).unflatten(-1, (self.config.n_mels, int(self.r)))
        return mel, torch.sigmoid(self.stop_proj(torch.cat([x, context], dim=-1)).float())

    def _residual(
        self, cell: nn.LSTMCell, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        hidden, memory = cell(x, state)
        return self._zone_out(hidden, state[0]), memory

    def _zone_out(self, hidden: Tensor, before: Tensor) -> Tensor:
        """Keep some values of the hidden state while training (arXiv:1606.01305)."""
        if not self.training:
            return hidden
        return torch.where(torch.rand_like(hidden) < ZONEOUT, before, hidden)


class Tacotron(nn.Module):
    """Text and a speaker embedding to a mel spectrogram; parameters are named as published."""

    step: Tensor
    stop_threshold: Tensor

    def __init__(self, config: TacotronConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.encoder_proj = nn.Linear(config.context_dims, config.decoder_dims, bias=False)
        self.decoder = Decoder(config)
        self.postnet = CBHG(
            config.postnet_K,
            config.n_mels,
            config.postnet_dims,
            (config.postnet_dims, config.fft_bins),
            config.num_highways,
        )
        self.post_proj = nn.Linear(config.postnet_dims, config.fft_bins, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self.register_buffer("step", torch.zeros(1, dtype=torch.long))
        self.register_buffer("stop_threshold", torch.tensor(config.stop_threshold))

    @property
    def r(self) -> int:
        """Mel frames per decoder step, 1 to `max_r`."""
        return int(self.decoder.r)

    @r.setter
    def r(self, frames: int) -> None:
        most = self.config.max_r
        if not 1 <= frames <= most:
            raise ValueError(f"r is {frames}; allowed are 1 to {most} frames per decoder step.")
        self.decoder.r.fill_(frames)

    def encode(
        self, chars: Tensor, speaker: Tensor, generator: torch.Generator | None = None
    ) -> Memory:
        """Encode a text. chars: (b, t), 0 is padding; speaker: (b, s)."""
        values = self.encoder(chars, speaker, generator)
        kernel, bias = self.decoder.attn_net.merge_location_layers()
        return Memory(values, self.encoder_proj(values) + bias, (chars != 0).to(values), kernel)

    def forward(
        self,
        chars: Tensor,
        mel: Tensor,
        speaker: Tensor,
        generator: torch.Generator | None = None,
        alignment: Tensor | None = None,
    ) -> TacotronOutput:
        """Predict each mel frame from the true ones before it.

        chars: (b, t); mel: (b, m, f), f a multiple of r; speaker: (b, s); alignment: (b, f / r, t)
        the attention to use instead of the network's own, see `Decoder.advance_along`.
        """
        memory = self.encode(chars, speaker, generator)
        before = F.pad(mel, (1, 0))[:, :, : -1 : self.r]  # the last frame of each step
        prenets = self.decoder.prenet(before.transpose(1, 2), generator)
        if alignment is None:
            x, contexts, attention = self.decoder.advance_all(prenets, memory)
        else:
            x, contexts, attention = self.decoder.advance_along(prenets, memory, alignment)
        mels, stops = self.decoder.project(x, contexts)
        made = mels.transpose(1, 2).flatten(2)  # (b, d, m, r) -> (b, m, f)
        stop = stops.expand(-1, -1, self.r).flatten(1)
        return self._refine(made, attention, stop)

    @torch.inference_mode()
    def generate(
        self,
        chars: Tensor,
        speaker: Tensor,
        generator: torch.Generator | None = None,
        max_frames: int = 2_000,
        on_step: Callable[[int], None] | None = None,
    ) -> TacotronOutput:
        """Generate a mel, at most max_frames long.

        chars: (b, t); speaker: (b, s); on_step: called with the frames made so far. Ends when all
        texts of the batch have ended.
        """
        memory = self.encode(chars, speaker, generator)

        def feed(step: int, made: list[Tensor]) -> Tensor:
            if on_step is not None:
                on_step(step * self.r)
            empty = memory.values.new_zeros(chars.shape[0], self.config.n_mels)
            return made[-1][:, :, -1] if made else empty

        state = self.decoder.initial_state(memory)
        mels: list[Tensor] = []
        attention: list[Tensor] = []
        stops: list[Tensor] = []
        for step in range(-(-max_frames // self.r)):
            mel, weights, stop, state = self.decoder(feed(step, mels), memory, state, generator)
            mels.append(mel)
            attention.append(weights)
            stops.append(stop.expand(-1, self.r))
            if step * self.r > MIN_FRAMES and bool((stop > STOP_PROBABILITY).all()):
                break
        return self._refine(torch.cat(mels, dim=-1), torch.stack(attention, 1), torch.cat(stops, 1))

    def _refine(self, mel: Tensor, attention: Tensor, stop: Tensor) -> TacotronOutput:
        """Add the post-net's mel. mel: (b, m, f), attention: (b, d, t), stop: (b, f)."""
        refined = self.post_proj(self.postnet(mel)).transpose(1, 2)
        return TacotronOutput(mel.float(), cast(Tensor, refined).float(), attention, stop)


def tacotron_loss(output: TacotronOutput, mel: Tensor, stop: Tensor) -> Tensor:
    """Return the published loss: MSE and L1 of the decoder, MSE of the post-net, BCE of the stop.

    mel: (b, m, f) target; stop: (b, f) 1 from the last frame on. Padding is not masked.
    """
    return (
        F.mse_loss(output.mel_decoder, mel)
        + F.l1_loss(output.mel_decoder, mel)
        + F.mse_loss(output.mel_postnet, mel)
        + F.binary_cross_entropy(output.stop, stop)
    )


def trim_trailing_silence(mel: Tensor, threshold: float) -> Tensor:
    """Drop trailing frames whose maximum is below the threshold. mel: (m, f)."""
    voiced = (mel.amax(0) >= threshold).nonzero()
    return mel[:, : int(voiced[-1]) + 1] if len(voiced) else mel[:, :0]

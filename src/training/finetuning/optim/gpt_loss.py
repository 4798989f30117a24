"""Losses of the GPT: cross entropy of the next text token and of the next code.

Shapes: b batch, t text tokens, m mel codes, k clips, p conditioning positions, d model width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from tortoise.modules.gpt import Gpt
from tortoise.modules.text_aligner import MIN_DURATION


@dataclass(frozen=True, slots=True, kw_only=True)
class GptLosses:
    """Mean cross entropies in nats: (). duration: mean error of log-durations, of an aligner."""

    text: Tensor
    mel: Tensor
    duration: Tensor | None = None

    def total(self, text_weight: float = 0.01, mel_weight: float = 1.0) -> Tensor:
        total = text_weight * self.text + mel_weight * self.mel
        return total if self.duration is None else total + self.duration


class TextAndCodes(Protocol):
    """A clip as the GPT sees it: token ids (t,) and codes (m,), without start or stop."""

    @property
    def text(self) -> Tensor: ...
    @property
    def codes(self) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GptBatch:
    """Texts with their codes, padded at the end with anything."""

    text: Tensor  # (b, t) token ids without start or stop
    text_lengths: Tensor  # (b,)
    codes: Tensor  # (b, m) without start or stop
    code_lengths: Tensor  # (b,)
    durations: Tensor | None = None  # (b, 1 + t) codes of the start token and of each token

    @classmethod
    def collate(
        cls,
        clips: Sequence[TextAndCodes],
        device: torch.device | None = None,
        durations: Sequence[Tensor] | None = None,
    ) -> GptBatch:
        """Pad clips, and their durations, into one batch."""
        texts, codes = [clip.text.long() for clip in clips], [clip.codes.long() for clip in clips]
        return cls(
            text=pad_sequence(texts, batch_first=True).to(device),
            text_lengths=torch.tensor([len(text) for text in texts], device=device),
            codes=pad_sequence(codes, batch_first=True).to(device),
            code_lengths=torch.tensor([len(row) for row in codes], device=device),
            durations=pad_sequence(list(durations), batch_first=True).to(device)
            if durations is not None
            else None,
        )


class TimedClip(TextAndCodes, Protocol):
    """A clip that may have the codes (1 + t,) that the lead and each token last."""

    @property
    def durations(self) -> Tensor | None: ...


def collate_clips(clips: Sequence[TimedClip], device: torch.device | None = None) -> GptBatch:
    """Collate clips with their durations, where all have them."""
    durations = [clip.durations for clip in clips if clip.durations is not None]
    return GptBatch.collate(clips, device, durations if len(durations) == len(clips) else None)


def compute_gpt_losses(gpt: Gpt, conditioning: Tensor, batch: GptBatch) -> GptLosses:
    """Compute the losses over tokens and codes, each row laid out exactly as at inference.

    Padding is moved behind each row's last code, where a causal network cannot see it, so a row has
    the same loss alone as in any batch.  conditioning: (b, d).
    """
    t, m = batch.text.shape[1], batch.codes.shape[1]
    aligned, duration = _align_text(gpt, conditioning, batch)
    states, at_codes = _compute_packed_states(gpt, conditioning, batch, aligned)
    stop_text, stop_mel = gpt.config.stop_text_token, gpt.config.stop_mel_token
    text_valid = _make_length_mask(batch.text_lengths + 1, t + 1)
    text = batch.text.masked_fill(~_make_length_mask(batch.text_lengths, t), stop_text)
    text_targets = F.pad(text, (0, 1), value=stop_text)[text_valid]
    mel_valid = _make_length_mask(batch.code_lengths + 1, m + 1)
    mel_targets = F.pad(batch.codes, (0, 1)).scatter(1, batch.code_lengths[:, None], stop_mel)
    text_logits = gpt.text_head(states[:, 1 : t + 2][text_valid])
    mel_logits = gpt.mel_head(_gather_positions(states, at_codes)[mel_valid])
    return GptLosses(
        text=F.cross_entropy(text_logits, text_targets.long()),
        mel=F.cross_entropy(mel_logits, mel_targets[mel_valid].long()),
        duration=duration,
    )


def compute_packed_latents(gpt: Gpt, conditioning: Tensor, batch: GptBatch) -> Tensor:
    """Compute `Gpt.latents` for texts of unlike length; rows are padded at the end.

    conditioning: (b, d).  Returns (b, m, d).
    """
    aligned, _ = _align_text(gpt, conditioning, batch)
    states, at_codes = _compute_packed_states(gpt, conditioning, batch, aligned)
    return _gather_positions(states, at_codes[:, :-1])


def _align_text(
    gpt: Gpt, conditioning: Tensor, batch: GptBatch
) -> tuple[Tensor | None, Tensor | None]:
    """Return the text at each code and at the stop (b, m + 1, d), and the error of durations.

    Both are None for a GPT without an aligner. Raises ValueError where the durations are missing.
    """
    if gpt.aligner is None:
        return None, None
    if batch.durations is None:
        raise ValueError("this GPT has a text aligner; its clips need the durations of their text")
    text = F.pad(batch.text, (1, 0), value=gpt.config.start_text_token)
    states, predicted = gpt.aligner(text, batch.text_lengths + 1, conditioning)
    aligned = gpt.aligner.align(states, batch.durations, batch.codes.shape[1] + 1)
    valid = _make_length_mask(batch.text_lengths + 1, text.shape[1])
    valid[:, 0] = False  # the silence before the text is arbitrary
    error = (predicted.float() - (batch.durations + MIN_DURATION).log()).abs()
    return aligned, error[valid].mean()


def _compute_packed_states(
    gpt: Gpt, conditioning: Tensor, batch: GptBatch, aligned: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run the GPT with the padding of every row moved to the end.

    Returns the states (b, n, d) and the positions that predict codes and stop (b, m + 1).
    """
    t, m = batch.text.shape[1], batch.codes.shape[1]
    text = batch.text.masked_fill(
        ~_make_length_mask(batch.text_lengths, t), gpt.config.stop_text_token
    )
    codes = F.pad(batch.codes, (1, 0), value=gpt.config.start_mel_token)  # (b, 1 + m)
    stopped = F.pad(text, (0, 1), value=gpt.config.stop_text_token)
    embedded_codes = gpt.embed_codes(codes)
    if aligned is not None:
        embedded_codes = embedded_codes + aligned
    embedded = torch.cat([gpt.prefix(conditioning, stopped), embedded_codes], dim=1)
    first = batch.text_lengths[:, None] + 4  # (b, 1) where each row's codes begin
    there = torch.arange(embedded.shape[1], device=text.device)[None]  # (1, n)
    source = torch.where(there < first, there, there + (t + 4) - first)
    longest = int((batch.text_lengths + batch.code_lengths).max()) + 5
    states = gpt.states(
        _gather_positions(embedded, source[:, :longest].clamp(max=embedded.shape[1] - 1))
    )
    at_codes = (first + torch.arange(m + 1, device=text.device)).clamp(max=states.shape[1] - 1)
    return states, at_codes


def _make_length_mask(lengths: Tensor, width: int) -> Tensor:
    """True at the first lengths[b] of `width` places: (b, width)."""
    return torch.arange(width, device=lengths.device)[None] < lengths[:, None]


def _gather_positions(states: Tensor, places: Tensor) -> Tensor:
    """states: (b, n, d);  places: (b, n').  Returns (b, n', d)."""
    return states.gather(1, places[..., None].expand(-1, -1, states.shape[2]))

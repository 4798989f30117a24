"""What the autoregressive network is trained to say: the next text token and the next code.

Shapes: b batch, t text tokens, m mel codes, k clips, p conditioning positions, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.modules.gpt import Gpt


@dataclass(frozen=True, slots=True, kw_only=True)
class GptLosses:
    """Mean cross entropies in nats, scalars."""

    text: Tensor
    mel: Tensor

    def total(self, text_weight: float = 0.01, mel_weight: float = 1.0) -> Tensor:
        return text_weight * self.text + mel_weight * self.mel


@dataclass(frozen=True, slots=True, kw_only=True)
class GptBatch:
    """Texts with their codes, padded at the end with anything."""

    text: Tensor  # (b, t) token ids without start or stop
    text_lengths: Tensor  # (b,)
    codes: Tensor  # (b, m) without start or stop
    code_lengths: Tensor  # (b,)


def compute_gpt_losses(gpt: Gpt, conditioning: Tensor, batch: GptBatch) -> GptLosses:
    """Losses over what was said and nothing else, each row laid out exactly as at inference.

    Padding is moved behind each row's last code, where a causal network cannot see it, so a row has
    the same loss alone as in any batch.  conditioning: (b, d).
    """
    t, m = batch.text.shape[1], batch.codes.shape[1]
    states, at_codes = _compute_packed_states(gpt, conditioning, batch)
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
    )


def compute_packed_latents(gpt: Gpt, conditioning: Tensor, batch: GptBatch) -> Tensor:
    """The latents of `Gpt.latents` for texts of unlike length; those behind a row's codes are idle.

    conditioning: (b, d).  Returns (b, m, d).
    """
    states, at_codes = _compute_packed_states(gpt, conditioning, batch)
    return _gather_positions(states, at_codes[:, :-1])


def _compute_packed_states(
    gpt: Gpt, conditioning: Tensor, batch: GptBatch
) -> tuple[Tensor, Tensor]:
    """Read every row with its padding moved to the end.

    Returns the states (b, n, d) and where those lie that predict the codes and the stop (b, m + 1).
    """
    t, m = batch.text.shape[1], batch.codes.shape[1]
    text = batch.text.masked_fill(
        ~_make_length_mask(batch.text_lengths, t), gpt.config.stop_text_token
    )
    codes = F.pad(batch.codes, (1, 0), value=gpt.config.start_mel_token)  # (b, 1 + m)
    stopped = F.pad(text, (0, 1), value=gpt.config.stop_text_token)
    embedded = torch.cat([gpt.prefix(conditioning, stopped), gpt.embed_codes(codes)], dim=1)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBatch:
    """A batch as the original trainer sees it."""

    text: Tensor  # (b, t) padded with 0
    text_lengths: Tensor  # (b,)
    codes: Tensor  # (b, m)
    wav_lengths: Tensor  # (b,) samples


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedOutputs:
    """Losses of the original trainer with the logits and states they come from."""

    losses: GptLosses
    mel_logits: Tensor  # (b, codes, m')
    latents: Tensor  # (b, m', d): states at every code position, the two of the stop included


def compute_published_outputs(
    gpt: Gpt,
    tokens: Tensor,
    batch: PublishedBatch,
    *,
    clip_codes: bool = True,
    text_first: bool = True,
) -> PublishedOutputs:
    """What the published weights were trained on, its quirks included, for fine-tuning them alike.

    tokens: (b, p, d), one conditioning token per clip (the original trainer) or their mean (p = 1).
    Padding counts in both losses. Text logits are always read one position after the start, so with
    p > 1 they lie p - 1 positions early. `clip_codes=False` is the fork's `tortoise_compat`: codes
    are neither cut to the longest row nor replaced with stop after each row's end.
    """
    stop_text, stop_mel = gpt.config.stop_text_token, gpt.config.stop_mel_token
    text, codes = batch.text[:, : int(batch.text_lengths.max())].long(), batch.codes
    if clip_codes:
        code_lengths = batch.wav_lengths // gpt.config.samples_per_code
        codes = codes[:, : int(code_lengths.max())]
        codes = codes.masked_fill(~_make_length_mask(code_lengths + 1, codes.shape[1]), stop_mel)
    text, codes = F.pad(text, (0, 1), value=stop_text), F.pad(codes, (0, 1), value=stop_mel)
    text_part = gpt.embed_text(F.pad(text, (1, 0), value=gpt.config.start_text_token))
    mel_part = gpt.embed_codes(F.pad(codes, (1, 0), value=gpt.config.start_mel_token))
    parts = [text_part, mel_part] if text_first else [mel_part, text_part]
    states = gpt.states(torch.cat([tokens, *parts], dim=1))
    early, late = states[:, 1 : 1 + parts[0].shape[1]], states[:, -parts[1].shape[1] :]
    text_states, mel_states = (early, late) if text_first else (late, early)
    text_logits = gpt.text_head(text_states).transpose(1, 2)
    mel_logits = gpt.mel_head(mel_states).transpose(1, 2)
    losses = GptLosses(
        text=F.cross_entropy(text_logits, F.pad(text, (0, 1), value=stop_text)),
        mel=F.cross_entropy(mel_logits, F.pad(codes, (0, 1), value=stop_mel)),
    )
    return PublishedOutputs(losses=losses, mel_logits=mel_logits, latents=mel_states)

"""The losses of the original GPT training, its quirks included, for the golden tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.modules.gpt import Gpt
from training.finetuning.optim.gpt_loss import GptLosses


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
        codes = codes.masked_fill(
            torch.arange(codes.shape[1])[None] > code_lengths[:, None], stop_mel
        )
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

"""Batches of the synthesizer and the vocoder.

Shapes: b batch, t characters, f mel frames, m mel bands, n samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sv2tts.mel import MAX_ABS, preemphasize
from sv2tts.modules.wavernn import WaveRNNConfig
from sv2tts.waveform_labels import encode_mu_law, float_to_label, label_to_float

VOCODER_FRAMES = 5  # mel frames of one training crop, without the context


class SynthesizerBatch(NamedTuple):
    """chars: (b, t) 0 is padding; mel: (b, m, f) padded with -4; stop: (b, f); speaker: (b, s)."""

    chars: Tensor
    mel: Tensor
    stop: Tensor
    speaker: Tensor


def collate_synthesizer(
    chars: Sequence[Tensor], mels: Sequence[Tensor], speakers: Sequence[Tensor], r: int
) -> SynthesizerBatch:
    """Pad texts (t,) and mels (m, f); the mel length becomes a multiple of r, over the longest."""
    lengths = [mel.shape[-1] for mel in mels]
    frames = -(-(max(lengths) + 1) // r) * r
    padded = [F.pad(mel, (0, frames - mel.shape[-1]), value=-MAX_ABS) for mel in mels]
    stop = torch.arange(frames) >= torch.tensor(lengths).unsqueeze(-1) - 1
    return SynthesizerBatch(
        pad_sequence([text.long() for text in chars], batch_first=True),
        torch.stack(padded),
        stop.float(),
        torch.stack(list(speakers)),
    )


class VocoderItem(NamedTuple):
    """mel: (m, f) in [-1, 1]; labels: (f * hop,)."""

    mel: Tensor
    labels: Tensor


def make_vocoder_item(
    wave: Tensor, mel: Tensor, config: WaveRNNConfig, *, mu_law: bool = True
) -> VocoderItem:
    """Prepare an utterance. wave: (n,) at 16 kHz; mel: (f, m) in [-4, 4], as stored."""
    wave = preemphasize(wave).clamp(-1.0, 1.0)
    wave = F.pad(wave, (0, config.hop - len(wave) % config.hop))[: len(mel) * config.hop]
    if config.mode == "MOL":
        labels = float_to_label(wave, 16)
    elif mu_law:
        labels = encode_mu_law(wave, 2**config.bits)
    else:
        labels = float_to_label(wave, config.bits)
    return VocoderItem(mel.T / MAX_ABS, labels.long())


class VocoderBatch(NamedTuple):
    """x: (b, n) previous samples in [-1, 1]; labels: (b, n); mel: (b, m, f + 2 pad)."""

    x: Tensor
    labels: Tensor
    mel: Tensor


def crop_vocoder_item(item: VocoderItem, offset: int, config: WaveRNNConfig) -> VocoderBatch:
    """Cut one training crop that starts at mel frame `offset`, without the batch axis."""
    window = VOCODER_FRAMES + 2 * config.pad
    start = (offset + config.pad) * config.hop
    labels = item.labels[start : start + VOCODER_FRAMES * config.hop + 1]
    bits = 16 if config.mode == "MOL" else config.bits
    return VocoderBatch(
        label_to_float(labels[:-1].float(), bits), labels[1:], item.mel[:, offset : offset + window]
    )


def sample_vocoder_batch(
    items: Sequence[VocoderItem], config: WaveRNNConfig, generator: torch.Generator
) -> VocoderBatch:
    """Cut a crop at a random place of each utterance; too short ones are padded with silence."""
    window = VOCODER_FRAMES + 2 * config.pad
    crops = []
    for item in items:
        item = _pad_item(item, window, config)
        offset = int(torch.randint(item.mel.shape[-1] - window + 1, (1,), generator=generator))
        crops.append(crop_vocoder_item(item, offset, config))
    return VocoderBatch(*(torch.stack(part) for part in zip(*crops, strict=True)))


def _pad_item(item: VocoderItem, window: int, config: WaveRNNConfig) -> VocoderItem:
    """Pad an item so that a crop of `window` frames fits, with one sample to spare."""
    frames = max(0, window + 1 - item.mel.shape[-1])
    silence = item.labels.new_full((frames * config.hop,), 2**config.bits // 2)
    return VocoderItem(F.pad(item.mel, (0, frames), value=-1.0), torch.cat([item.labels, silence]))

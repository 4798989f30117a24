"""Draw training batches of the speaker codec from a store of parallel speech.

Shapes: b batch, f GPT mel frames, g vocoder mel frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.mel import GPT_MEL, VOCODER_MEL
from recipes.data.speech_store import NO_DRAFT, SpeechStore
from recipes.data.voice_augmentation import (
    AugmentationOptions,
    apply_channel_augmentation,
    compute_band_centers,
    sample_warp_factor,
    warp_frequencies,
)
from recipes.loop import random_int
from text.phones import PHONES, UNKNOWN_PHONE
from tortoise.modules.speaker_codec import (
    FRAMES_PER_CODE,
    TARGET_FLOOR,
    VOCODER_FRAMES_PER_CODE,
    count_vocoder_frames,
    standardize_bands,
)

MAX_PHASE = 0.1  # vocoder frames between the start of a crop in the two mels
MAX_OWN_CODES = 0.7  # share of the codes of a draft that may be replaced by the utterance's own
USABLE_BAND = 0.95  # of the highest frequency of a recording


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """Composition of a batch.  context_codes: around a crop, for the statistics of its bands."""

    size: int = 10
    codes: int = 32
    context_codes: int = 64
    parallel: float = 0.5
    warped: float = 0.6
    told_phones: float = 0.6  # share of the items whose phones the decoder is told
    drafted: float = 0.0  # share of the items, where they have drafts, that are decoded from them
    speaker_noise: float = 0.015  # added to each entry of the speaker vector
    channel: AugmentationOptions = field(
        default_factory=lambda: AugmentationOptions(equalised=0.3, noisy=0.4, echoing=0.3)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodecBatch:
    """bands: (b, 80, f); mel: (b, 100, g) target; known: (b, 100, 1) bands that the target has.

    speaker: (b, 256); phones: (b, f / 2) classes; shares: (b, phones, f / 2), the part of the time
    of each phone, which the decoder is told; all zero for some items, and for unknown phones.
    drafts: (b, 2, f / 4) codes in place of those of `bands`, for the mel and for the voice of
    another; `NO_DRAFT` where their own are taken.
    """

    bands: Tensor
    mel: Tensor
    known: Tensor
    speaker: Tensor
    phones: Tensor
    shares: Tensor
    drafts: Tensor


class CodecBatches:
    """Draws batches; the same generator gives the same batch."""

    def __init__(self, store: SpeechStore, options: BatchOptions) -> None:
        self._store, self._options = store, options
        self._starts = torch.tensor([code for code in range(2000) if _phase(code) <= MAX_PHASE])
        long_enough = [
            index
            for index, (_, utterance) in enumerate(store.utterances)
            if utterance.gpt_frames >= FRAMES_PER_CODE * options.codes
        ]
        many = [index for index in long_enough if len(store.utterances[index][1].versions) > 1]
        one = sorted(set(long_enough) - set(many))
        self._pools = [pool for pool in (one, many) if pool]
        self._weights = [1 - options.parallel, options.parallel]
        self._centers = compute_band_centers(VOCODER_MEL)

    def sample(self, generator: torch.Generator) -> CodecBatch:
        """Draw one batch."""
        items = [self._sample_item(generator) for _ in range(self._options.size)]
        bands, mel, known, speaker, phones, shares, drafts = (
            torch.stack(column) for column in zip(*items, strict=True)
        )
        return CodecBatch(
            bands=bands, mel=mel, known=known, speaker=speaker, phones=phones, shares=shares,
            drafts=drafts,
        )  # fmt: skip

    def _sample_item(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        options = self._options
        both = len(self._pools) == 2
        chance = float(torch.rand(1, generator=generator))
        pool = self._pools[int(both and chance < options.parallel)]
        index = pool[random_int(0, len(pool), generator)]
        _, utterance = self._store.utterances[index]
        source, target = (random_int(0, len(utterance.versions), generator) for _ in range(2))
        spare = utterance.gpt_frames // FRAMES_PER_CODE - options.codes
        usable = self._starts[self._starts <= spare]
        start = int(usable[random_int(0, len(usable), generator)])
        mel = self._store.read_vocoder_mel(
            index, target, round(start * VOCODER_FRAMES_PER_CODE),
            count_vocoder_frames(options.codes),
        )  # fmt: skip
        mel = F.pad(mel, (0, count_vocoder_frames(options.codes) - mel.shape[1]), mode="replicate")
        known = (self._centers <= USABLE_BAND * utterance.high_hz)[:, None]
        labels = self._store.read_phones(
            index, FRAMES_PER_CODE * start, FRAMES_PER_CODE * options.codes
        )
        if not len(labels):
            labels = torch.full((FRAMES_PER_CODE * options.codes,), UNKNOWN_PHONE)
        drafts = self._read_drafts(index, start, generator)
        is_drafted = bool((drafts != NO_DRAFT).any())
        return (
            self._read_bands(index, source, start, generator),
            mel.clamp(min=TARGET_FLOOR),
            known,
            self._sample_speaker(index, target, generator),
            labels[1::2],
            self._share_phones(labels, generator, is_drafted),
            drafts,
        )

    def _read_drafts(self, index: int, start: int, generator: torch.Generator) -> Tensor:
        """Read drafts at random: (2, codes); a random share of the first are the own codes."""
        options = self._options
        chance, share = torch.rand(2, generator=generator).tolist()
        drafts = self._store.read_drafts(index, start, options.codes)
        if drafts is None or chance >= options.drafted:
            return torch.full((2, options.codes), NO_DRAFT)
        own = torch.rand(options.codes, generator=generator) < share * MAX_OWN_CODES
        return torch.stack([drafts[0].masked_fill(own, NO_DRAFT), drafts[1]])

    def _read_bands(
        self, index: int, version: int, start: int, generator: torch.Generator
    ) -> Tensor:
        """Read, augment and standardise the input: (80, f)."""
        options = self._options
        first = max(0, start - random_int(0, options.context_codes, generator))
        count = options.codes + options.context_codes
        mel = self._store.read_gpt_mel(
            index, version, FRAMES_PER_CODE * first, FRAMES_PER_CODE * count
        )
        if float(torch.rand(1, generator=generator)) < options.warped:
            mel = warp_frequencies(mel, sample_warp_factor(generator), GPT_MEL)
        mel = apply_channel_augmentation(mel, GPT_MEL, options.channel, generator)
        place = FRAMES_PER_CODE * (start - first)
        return standardize_bands(mel[None])[0, :, place : place + FRAMES_PER_CODE * options.codes]

    def _share_phones(self, labels: Tensor, generator: torch.Generator, always: bool) -> Tensor:
        """Return the share of each phone in each half code: (phones, f / 2), zero where unknown."""
        shares = F.one_hot(labels + 1, len(PHONES) + 1)[:, 1:].float()
        shares = shares.unflatten(0, (-1, 2)).mean(1).T
        told = float(torch.rand(1, generator=generator)) < self._options.told_phones
        return shares if told or always else torch.zeros_like(shares)

    def _sample_speaker(self, index: int, version: int, generator: torch.Generator) -> Tensor:
        """Return the mean direction of some windows, with noise: (256,)."""
        windows = self._store.read_speaker_windows(index, version)
        some = torch.randperm(len(windows), generator=generator)
        some = some[: random_int(1, len(windows) + 1, generator)]
        mean = F.normalize(windows[some].mean(0), dim=0)
        noise = torch.randn(mean.shape, generator=generator) * self._options.speaker_noise
        return F.normalize((mean + noise).relu(), dim=0)


def _phase(code: int) -> float:
    place = code * VOCODER_FRAMES_PER_CODE
    return abs(place - round(place))

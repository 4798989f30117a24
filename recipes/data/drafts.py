"""What the GPT makes of the utterances of a store: the codes that a decoder must speak clearly.

Every utterance of the teacher gets two rows of codes with its own timing. The forced row is drawn
with the true codes before each code, so it also keeps the melody; the free row is drawn as in use.
Shapes: m codes, t text tokens, d model width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow
from recipes.data.durations import compute_token_durations
from recipes.data.features import save_array
from recipes.data.speech_store import DRAFTS_FILE, NO_DRAFT, SpeechStore
from recipes.loop import make_step_generator
from text.tokenizer import Tokenizer
from tortoise.generation.sampling import (
    SamplingOptions,
    filter_top_k,
    filter_top_p,
    sample_codes,
)
from tortoise.modules.gpt import Gpt
from tortoise.modules.speaker_codec import SpeakerCodec

FORCED_OPTIONS = SamplingOptions(temperature=0.8, top_p=0.95, top_k=0)
FREE_OPTIONS = SamplingOptions(
    samples=1, temperature=0.6, top_p=0.9, repetition_penalty=1.0, cache="padded"
)
"""As the model recommends when it is used."""

REFERENCE_FRAMES = 240  # of the GPT's mel, 2.7 s


class DraftWriter:
    """Draws the drafts of shards that have none.  norms: (80,) of the GPT's mel."""

    def __init__(self, gpt: Gpt, codec: SpeakerCodec, tokenizer: Tokenizer, norms: Tensor) -> None:
        self.gpt, self.codec, self.tokenizer, self.norms = gpt, codec, tokenizer, norms

    def write(self, shard: Path, rows: Sequence[CorpusRow], report: ProgressReporter) -> None:
        """Write `drafts.npy`: int16 (2, codes of all utterances).  rows: of that shard."""
        if (shard / DRAFTS_FILE).exists():
            return
        store = SpeechStore([shard])
        sentences = [next(versions) for _, versions in groupby(rows, key=lambda row: row.sentence)]
        found = [
            self._draw(store, index, sentences[index])
            for index in report.track(range(len(store)), "drafts")
        ]
        save_array(shard / DRAFTS_FILE, np.concatenate(found, axis=1))

    @torch.inference_mode()
    def _draw(self, store: SpeechStore, index: int, row: CorpusRow) -> np.ndarray:
        """Return both rows of an utterance: (2, m); `NO_DRAFT` where it is too long."""
        utterance = store.utterances[index][1]
        mel = store.read_gpt_mel(index, 0, 0, utterance.gpt_frames)
        codes = self.codec.encode_log_mel(mel[None])
        tokens, config = self.tokenizer.encode(row.text), self.gpt.config
        if codes.shape[1] > config.max_mel_tokens or len(tokens) > config.max_text_tokens - 2:
            return np.full((2, codes.shape[1]), NO_DRAFT, np.int16)
        durations = compute_token_durations(row, self.tokenizer.tokenize(row.text))
        generator = make_step_generator(row.sentence, 0)
        voice = self.gpt.condition((mel[:, :REFERENCE_FRAMES] / self.norms[:, None])[None])
        text = torch.tensor([[*tokens, config.stop_text_token]])
        aligned = self._align(voice, tokens, torch.tensor(durations), codes.shape[1])
        forced = self._force(voice, text, codes, aligned, generator)
        free = sample_codes(
            self.gpt, voice, text, FREE_OPTIONS, generator, ProgressReporter(), aligned=aligned[0]
        )[0].codes
        drafts: np.ndarray = torch.stack([forced, free]).numpy().astype(np.int16)
        return drafts

    def _align(self, voice: Tensor, tokens: list[int], durations: Tensor, codes: int) -> Tensor:
        """Return the text at each code: (1, m, d).  durations: (1 + t,)."""
        aligner = self.gpt.aligner
        assert aligner is not None  # of a starter
        inputs = torch.tensor([[self.gpt.config.start_text_token, *tokens]])
        states, _ = aligner(inputs, torch.tensor([inputs.shape[1]]), voice)
        return aligner.align(states, durations[None], codes)

    def _force(
        self, voice: Tensor, text: Tensor, codes: Tensor, aligned: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Draw each code behind the true ones before it: (m,)."""
        config = self.gpt.config
        logits = self.gpt.mel_head(self.gpt.latents(voice, text, codes, aligned))[0].float()
        logits[:, [config.start_mel_token, config.stop_mel_token]] = -torch.inf
        kept = filter_top_k(logits / FORCED_OPTIONS.temperature, FORCED_OPTIONS.top_k)
        uniform = torch.rand(len(logits), generator=draw)
        return filter_top_p(kept, FORCED_OPTIONS.top_p).draw(uniform)

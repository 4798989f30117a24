"""Word times of a known text, by a wav2vec2 CTC network in Hugging Face format.

Shapes: n samples, f frames, v tokens of the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torchaudio.functional import TokenSpan, forced_align, merge_tokens
from transformers import AutoModelForCTC, Wav2Vec2Processor

from text.normalization.pipeline import normalize_text
from training.asr.base import SAMPLE_RATE, TranscribeError, Word

MIN_TOKEN_PROBABILITY = 0.02  # geometric mean over the text; another text than the spoken is below
MAX_UNKNOWN_SHARE = 0.1  # of the letters of a text that the vocabulary may lack


class CtcAligner:
    """Align texts to audio.  folder: with config.json, weights, tokenizer and feature extractor."""

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        try:
            self._processor = Wav2Vec2Processor.from_pretrained(folder, local_files_only=True)
            network = AutoModelForCTC.from_pretrained(
                folder, local_files_only=True, weights_only=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise TranscribeError(f"{folder} cannot be loaded: {error}") from error
        self._device = device or torch.device("cpu")
        self._network = network.eval().requires_grad_(False).to(self._device)
        tokenizer = self._processor.tokenizer
        self._blank = int(tokenizer.pad_token_id)
        self._delimiter = tokenizer.word_delimiter_token_id
        self._vocabulary: dict[str, int] = tokenizer.get_vocab()

    def supports(self, text: str, language: str = "en") -> bool:
        """Return whether the vocabulary has the letters of a text."""
        letters = [char for char in _spell(text, language) if char.isalpha()]
        unknown = sum(self._get_token(char) is None for char in letters)
        return bool(letters) and unknown <= MAX_UNKNOWN_SHARE * len(letters)

    def align(self, wave: Tensor, text: str, language: str = "en") -> tuple[Word, ...] | None:
        """Return the words of a text with their times; None where the text does not match the
        audio.

        wave: (n,) at `SAMPLE_RATE`. A written word without letters of the vocabulary, such as a
        dash, is joined to the one before it.
        """
        written = text.split()
        tokens = [self._tokenize(word, language) for word in written]
        targets: list[int] = []
        for part in filter(None, tokens):
            targets += [self._delimiter, *part] if targets and self._delimiter is not None else part
        spans = self._align_tokens(wave, targets)
        if spans is None:
            return None
        if self._delimiter is not None:
            spans = [span for span in spans if span.token != self._delimiter]
        return tuple(_collect_words(written, [len(part) for part in tokens], spans, self._frame_s))

    @property
    def _frame_s(self) -> float:
        return float(self._network.config.inputs_to_logits_ratio / SAMPLE_RATE)

    @torch.inference_mode()
    def _align_tokens(self, wave: Tensor, targets: list[int]) -> list[TokenSpan] | None:
        if not targets or not len(wave):
            return None
        inputs = self._processor(
            wave.float().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt"
        ).input_values
        try:
            logits = self._network(inputs.to(self._device)).logits  # (1, f, v)
            log_probs = logits.float().log_softmax(-1).cpu()
            path, scores = forced_align(log_probs, torch.tensor([targets]), blank=self._blank)
        except (RuntimeError, ValueError):  # fewer frames than letters
            return None
        spans = merge_tokens(path[0], scores[0].exp(), blank=self._blank)
        mean_log = float(torch.tensor([max(span.score, 1e-30) for span in spans]).log().mean())
        return spans if mean_log >= torch.tensor(MIN_TOKEN_PROBABILITY).log() else None

    def _tokenize(self, written: str, language: str) -> list[int]:
        tokens = [self._get_token(char) for char in _spell(written, language)]
        return [token for token in tokens if token is not None]

    def _get_token(self, char: str) -> int | None:
        for form in (char, char.upper(), char.lower()):
            if form in self._vocabulary and self._vocabulary[form] != self._delimiter:
                return self._vocabulary[form]
        return None


@lru_cache(maxsize=1)
def load_ctc_aligner(folder: Path) -> CtcAligner:
    """Load an aligner, once for all texts."""
    return CtcAligner(folder)


def find_passage_starts(
    wave: Tensor, passages: Sequence[str], aligner: CtcAligner, language: str = "en"
) -> list[float] | None:
    """Return the second at which each passage of a spoken text starts; None if it is not found.

    wave: (n,) at `SAMPLE_RATE`, in which the passages are spoken one after the other.
    """
    words = aligner.align(wave, " ".join(passages), language)
    if words is None:
        return None
    starts: list[float] = []
    at = 0
    times = [word.start_s for word in words for _ in word.text.split()]
    for passage in passages:
        starts.append(times[min(at, len(times) - 1)] if starts else 0.0)
        at += len(passage.split())
    return starts


def _spell(written: str, language: str) -> str:
    """Return the spoken form of written words, in letters and apostrophes only."""
    spoken = normalize_text(written) if language in ("", "en") else written
    return re.sub(r"[^\w']|\d|_", "", spoken.replace("’", "'"))


def _collect_words(
    written: Sequence[str], lengths: Sequence[int], spans: Sequence[TokenSpan], frame_s: float
) -> list[Word]:
    words: list[Word] = []
    at = 0
    for text, length in zip(written, lengths, strict=True):
        if length:
            start, stop = spans[at].start * frame_s, spans[at + length - 1].end * frame_s
            words.append(Word(text=text, start_s=start, stop_s=stop))
            at += length
        elif words:
            last = words.pop()
            words.append(Word(text=f"{last.text} {text}", start_s=last.start_s, stop_s=last.stop_s))
    return words

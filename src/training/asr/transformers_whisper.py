"""Transcriber: Whisper models in Hugging Face format, run by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutomaticSpeechRecognitionPipeline,
    StoppingCriteria,
    StoppingCriteriaList,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)

from audio.energy_vad import SampleSpan
from core.progress import ProgressReporter
from training.asr.base import SAMPLE_RATE, TRANSFORMERS, Segment, TranscribeError, Transcript
from training.asr.chunking import make_segment, split_for_whisper
from training.asr.languages import parse_language_code


class TransformersWhisper:
    """Transcribe with a model in Hugging Face format.

    folder: with config.json, weights, tokenizer and feature extractor; nothing is downloaded.
    language: a code or name, "" to detect it.
    """

    def __init__(self, folder: Path, *, device: torch.device, language: str = "") -> None:
        self.name = f"{TRANSFORMERS} {folder.name}"
        self._device = device if device.type == "cuda" else torch.device("cpu")
        dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        try:
            self._processor = WhisperProcessor.from_pretrained(folder, local_files_only=True)
            self._network = WhisperForConditionalGeneration.from_pretrained(
                folder, local_files_only=True, dtype=dtype, weights_only=True
            ).eval()
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise TranscribeError(f"{folder} cannot be loaded: {error}") from error
        settings = self._network.generation_config
        tokens: dict[str, int] = getattr(settings, "lang_to_id", None) or {}
        self._codes = {token.strip("<|>"): id for token, id in tokens.items()}
        self._language = parse_language_code(language, tuple(self._codes) or ("en",))
        self._has_word_times = bool(getattr(settings, "alignment_heads", None))

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Transcribe chunk by chunk.  wave: (n,) at `SAMPLE_RATE`."""
        spans = split_for_whisper(wave)
        segments: list[Segment] = []
        try:
            self._network.to(self._device)
            language = self._language or self._detect_language(wave, spans)
            for span in report.track(spans, "listening"):
                segments += self._transcribe_chunk(wave, span, language, report)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise TranscribeError(
                f"{self.name} needs more memory than is available. Choose a smaller model."
            ) from error
        return Transcript(segments=tuple(segments), language=language)

    def _transcribe_chunk(
        self, wave: Tensor, span: SampleSpan, language: str, report: ProgressReporter
    ) -> list[Segment]:
        recognizer = AutomaticSpeechRecognitionPipeline(
            model=self._network,
            tokenizer=self._processor.tokenizer,
            feature_extractor=self._processor.feature_extractor,
            device=self._device,
        )
        options: dict[str, Any] = {"stopping_criteria": StoppingCriteriaList([_Cancel(report)])}
        if self._codes:
            options |= {"language": language, "task": "transcribe"}
        result: Any = recognizer(
            {"raw": wave[span.start : span.stop].float().numpy(), "sampling_rate": SAMPLE_RATE},
            return_timestamps="word" if self._has_word_times else False,
            generate_kwargs=options,
        )
        length = (span.stop - span.start) / SAMPLE_RATE
        words = [
            (row["text"], row["timestamp"][0], row["timestamp"][1] or length, None)
            for row in result.get("chunks", ())
        ]
        segment = make_segment(span, (0.0, length), result["text"], words)
        return [] if segment is None else [segment]

    def _detect_language(self, wave: Tensor, spans: list[SampleSpan]) -> str:
        if not self._codes:
            return "en"
        if not spans:
            return ""
        longest = max(spans, key=lambda span: span.stop - span.start)
        features = self._processor(
            wave[longest.start : longest.stop].float().numpy(),
            sampling_rate=SAMPLE_RATE,
            return_tensors="pt",
        ).input_features
        found = self._network.detect_language(features.to(self._device, self._network.dtype))
        return next(code for code, id in self._codes.items() if id == int(found[0]))


class _Cancel(StoppingCriteria):
    """Check for cancellation at each token."""

    def __init__(self, report: ProgressReporter) -> None:
        self._report = report

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        self._report.check_cancelled()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

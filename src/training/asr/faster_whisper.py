"""Transcriber: Whisper models in CTranslate2 format, run by the optional package faster-whisper."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audio.energy_vad import SampleSpan
from core.progress import ProgressReporter
from training.asr.availability import (
    CONVERSION_HINT,
    INSTALL_EXTRAS_COMMAND,
    get_converted_model_name,
)
from training.asr.base import (
    FASTER_WHISPER,
    WHISPER_TEMPERATURES,
    Segment,
    TranscribeError,
    Transcript,
)
from training.asr.chunking import make_segment, split_for_whisper
from training.asr.languages import parse_language_code


class FasterWhisper:
    """Transcribe with a converted model.

    folder: as `availability.find_converted_model` returns it, with the tokenizer in it, since
    nothing is downloaded.  language: a code or name, "" to detect it.  temperatures: the next one
    is tried while the text is unlikely.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: torch.device,
        language: str = "",
        temperatures: Sequence[float] = WHISPER_TEMPERATURES,
    ) -> None:
        self._temperatures = list(temperatures)
        package = _import_faster_whisper()
        name = get_converted_model_name(folder)
        self.name = f"{FASTER_WHISPER} {name}"
        try:
            self._model = package.WhisperModel(
                str(folder),
                device="cuda" if device.type == "cuda" else "cpu",
                device_index=device.index or 0,
                compute_type="auto",
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise TranscribeError(
                f"{folder} cannot be loaded: {error} {CONVERSION_HINT}."
            ) from error
        self._language = parse_language_code(language, tuple(self._model.supported_languages))
        if not self._model.model.is_multilingual:
            self._language = "en"

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Transcribe chunk by chunk.  wave: (n,) at `SAMPLE_RATE`."""
        spans = split_for_whisper(wave)
        language = self._language or self._detect_language(wave, spans)
        segments: list[Segment] = []
        for span in report.track(spans, "listening"):
            segments += self._transcribe_chunk(wave, span, language, report)
        return Transcript(segments=tuple(segments), language=language)

    def _transcribe_chunk(
        self, wave: Tensor, span: SampleSpan, language: str, report: ProgressReporter
    ) -> Iterator[Segment]:
        rows, _ = self._model.transcribe(
            wave[span.start : span.stop].float().numpy(),
            language=language,
            temperature=self._temperatures,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        for row in rows:  # a generator: each is computed here
            report.check_cancelled()
            words = [(one.word, one.start, one.end, one.probability) for one in row.words or ()]
            segment = make_segment(span, (row.start, row.end), row.text, words)
            if segment is not None:
                yield segment

    def _detect_language(self, wave: Tensor, spans: list[SampleSpan]) -> str:
        if not spans:
            return ""
        longest = max(spans, key=lambda span: span.stop - span.start)
        samples = wave[longest.start : longest.stop].float().numpy()
        return str(self._model.detect_language(samples)[0])


def _import_faster_whisper() -> Any:  # Any: the package has no types
    try:
        return importlib.import_module("faster_whisper")
    except ImportError as error:
        raise TranscribeError(
            f"The optional package faster-whisper is not installed: `{INSTALL_EXTRAS_COMMAND}` "
            "installs it."
        ) from error

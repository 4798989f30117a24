"""faster-whisper, an extra: Whisper models that CTranslate2 has converted, from a folder.

Nothing is fetched: the folder has to hold the tokenizer, too, which the package would otherwise
look for on the network.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audio.energy_vad import SampleSpan
from core.progress import ProgressReporter
from training.asr.availability import CONVERSION_HINT, INSTALL_EXTRAS_COMMAND
from training.asr.base import (
    FASTER_WHISPER,
    SAMPLE_RATE,
    Segment,
    TranscribeError,
    Transcript,
    Word,
    clean_text,
)
from training.asr.chunking import split_into_chunks
from training.asr.languages import resolve_language_code

MAX_CHUNK_S = 28.0
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn while the text is unlikely


class FasterWhisper:
    """Listens with a converted model.

    folder: as `available.find_converted` returns it;  language: a code or a name, "" for whatever
    is heard.
    """

    def __init__(self, folder: Path, *, device: torch.device, language: str = "") -> None:
        package = _import_faster_whisper()
        self.name = f"{FASTER_WHISPER} {folder.name}"
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
        self._language = resolve_language_code(language, tuple(self._model.supported_languages))

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Write down what is said, stretch by stretch.  wave: (n,) at `SAMPLE_RATE`."""
        spans = split_into_chunks(wave, MAX_CHUNK_S)
        language = self._language or self._detect_language(wave, spans)
        segments: list[Segment] = []
        for span in report.track(spans, "listening"):
            segments += self._transcribe_chunk(wave, span, language, report)
        return Transcript(segments=tuple(segments), language=language)

    def _transcribe_chunk(
        self, wave: Tensor, span: SampleSpan, language: str, report: ProgressReporter
    ) -> Iterator[Segment]:
        heard, _ = self._model.transcribe(
            wave[span.start : span.stop].float().numpy(),
            language=language,
            temperature=list(TEMPERATURES),
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        for row in heard:  # worked out one by one
            report.check_cancelled()
            segment = _make_segment(row, span)
            if segment.text and segment.stop_s > segment.start_s:
                yield segment

    def _detect_language(self, wave: Tensor, spans: list[SampleSpan]) -> str:
        if not self._model.model.is_multilingual:
            return "en"
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
            f"faster-whisper is an extra that is not installed: `{INSTALL_EXTRAS_COMMAND}` "
            f"brings it."
        ) from error


def _make_segment(row: Any, span: SampleSpan) -> Segment:  # Any: the package has no types
    offset, length = span.start / SAMPLE_RATE, (span.stop - span.start) / SAMPLE_RATE

    def at(seconds: float) -> float:
        return offset + min(max(0.0, float(seconds)), length)

    told = [(clean_text(one.word), one) for one in row.words or ()]
    words = tuple(
        Word(text=text, start_s=at(one.start), stop_s=at(one.end)) for text, one in told if text
    )
    sure = [float(one.probability) for text, one in told if text]
    return Segment(
        start_s=at(row.start),
        stop_s=at(row.end),
        text=clean_text(row.text),
        words=words,
        confidence=min(1.0, sum(sure) / len(sure)) if sure else None,
    )

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

from jobs.report import Reporter
from speech.vad import Span
from training.manifest import Word
from training.transcribe.available import CONVERT, EXTRA
from training.transcribe.base import FASTER_WHISPER, RATE, Segment, TranscribeError, Transcript
from training.transcribe.languages import language_code
from training.transcribe.stretches import stretches
from training.transcribe.text import clean_text

LONGEST_S = 28.0
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn while the text is unlikely


class FasterWhisper:
    """Listens with a converted model.

    folder: as `available.find_converted` returns it;  language: a code or a name, "" for whatever
    is heard.
    """

    def __init__(self, folder: Path, *, device: torch.device, language: str = "") -> None:
        package = _package()
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
            raise TranscribeError(f"{folder} cannot be loaded: {error} {CONVERT}.") from error
        self._language = language_code(language, tuple(self._model.supported_languages))

    def transcribe(self, wave: Tensor, report: Reporter) -> Transcript:
        """Write down what is said, stretch by stretch.  wave: (n,) at `RATE`."""
        spans = stretches(wave, LONGEST_S)
        language = self._language or self._language_of(wave, spans)
        segments: list[Segment] = []
        for span in report.track(spans, "listening"):
            segments += self._hear(wave, span, language, report)
        return Transcript(segments=tuple(segments), language=language)

    def _hear(self, wave: Tensor, span: Span, language: str, report: Reporter) -> Iterator[Segment]:
        heard, _ = self._model.transcribe(
            wave[span.start : span.stop].float().numpy(),
            language=language,
            temperature=list(TEMPERATURES),
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        for row in heard:  # worked out one by one
            report.check()
            segment = _segment(row, span)
            if segment.text and segment.stop_s > segment.start_s:
                yield segment

    def _language_of(self, wave: Tensor, spans: list[Span]) -> str:
        if not self._model.model.is_multilingual:
            return "en"
        if not spans:
            return ""
        longest = max(spans, key=lambda span: span.stop - span.start)
        samples = wave[longest.start : longest.stop].float().numpy()
        return str(self._model.detect_language(samples)[0])


def _package() -> Any:  # Any: the package has no types
    try:
        return importlib.import_module("faster_whisper")
    except ImportError as error:
        raise TranscribeError(
            f"faster-whisper is an extra that is not installed: `{EXTRA}` brings it."
        ) from error


def _segment(row: Any, span: Span) -> Segment:  # Any: the package has no types
    offset, length = span.start / RATE, (span.stop - span.start) / RATE

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

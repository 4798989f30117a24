"""Open what the steps need: the recording, an encoder, a recognizer, an aligner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from audio.long_audio import Recording, decode_recording
from core.progress import ProgressReporter
from speakers.embedding import Encoder, load_encoder, mean_embedding
from speakers.likeness import PUBLISHED_NAME
from training.asr.base import SAMPLE_RATE, TranscriberConfig
from training.asr.forced_alignment import can_align, find_aligner, pronounce_word, score_words
from training.asr.selection import load_transcriber
from training.asr.voice_activity import detect_speech
from training.gold.agreement import HeardWord
from training.gold.cleaning import clean_transcript
from training.gold.workflow import GoldTools

EXPORT_RATE = 24_000
RECOGNIZED_BLOCK_S = 600.0
LANGUAGE = "en"
TITLES = ("mr", "mrs", "ms", "dr", "st")  # recognizers write them without a full stop


@contextmanager
def open_tools(
    recording: Path,
    models: Path,
    report: ProgressReporter,
    *,
    encoder: str = PUBLISHED_NAME,
    transcriber: TranscriberConfig | None = None,
) -> Iterator[GoldTools]:
    """Open the tools for a recording; it is decoded to a temporary file.

    models: the folder of speech recognition models; encoder: a name or path for `load_encoder`.
    """
    with TemporaryDirectory() as work:
        decoded = decode_recording(
            recording, Path(work) / "recording", EXPORT_RATE, lambda _: report.check_cancelled()
        )
        yield make_tools(
            decoded,
            models,
            lru_cache(maxsize=1)(lambda: load_encoder(encoder)),
            transcriber or TranscriberConfig(language="en"),
        )


def make_tools(
    recording: Recording,
    models: Path,
    get_encoder: Callable[[], Encoder],
    transcriber: TranscriberConfig,
) -> GoldTools:
    """Return the tools for a decoded recording; the encoder is loaded at its first use."""
    made = _RecordingTools(recording, models, get_encoder, transcriber)
    is_english = can_align(LANGUAGE)
    return GoldTools(
        cut=recording.extract_clip,
        duration_s=recording.duration_s,
        speech=lambda report: detect_speech(recording, report).spans,
        embed=made.embed,
        recognize=made.recognize,
        align=made.align,
        pyannote=models.parent / "pyannote",
        pronounce=pronounce_word if is_english else lambda word: (),
        compare=made.compare if is_english else lambda start, stop, written, heard: None,
    )


@dataclass(frozen=True, slots=True)
class _RecordingTools:
    recording: Recording
    models: Path
    get_encoder: Callable[[], Encoder]
    transcriber: TranscriberConfig

    def wave(self, start: float, stop: float) -> torch.Tensor:
        return self.recording.extract_clip(start, stop).resample(SAMPLE_RATE).wave

    def embed(self, samples: np.ndarray) -> np.ndarray:
        encoder = self.get_encoder()
        prepared = encoder.prepare_wave(samples)
        return mean_embedding(encoder.embed_partials(prepared).embeddings)

    def recognize(self, report: ProgressReporter) -> list[HeardWord]:
        loaded = load_transcriber(self.transcriber, self.models, report)
        duration = self.recording.duration_s
        words: list[HeardWord] = []
        for start in np.arange(0.0, duration, RECOGNIZED_BLOCK_S).tolist():
            stop = min(start + RECOGNIZED_BLOCK_S, duration)
            found = loaded.transcribe(self.wave(start, stop), report)
            for segment in found.segments:
                for word in segment.words:
                    words += _split_word(word.text, word.start_s + start, word.stop_s + start)
        return words

    def align(
        self, start: float, stop: float, words: Sequence[str]
    ) -> list[tuple[float, float]] | None:
        text = " ".join(words).lower()
        aligner = find_aligner(text, LANGUAGE, self.models)
        found = aligner(self.wave(start, stop), text) if aligner is not None else None
        if found is None or len(found.words) != len(words):
            return None
        return [(word.start_s + start, word.stop_s + start) for word in found.words]

    def compare(
        self, start: float, stop: float, written: Sequence[str], heard: Sequence[str]
    ) -> float | None:
        sound = self.wave(start, stop)
        first, second = score_words(sound, written), score_words(sound, heard)
        return None if first is None or second is None else first - second


def _split_word(text: str, start: float, stop: float) -> list[HeardWord]:
    """Write a recognized word as the transcript is cleaned; "£5" becomes two words."""
    dotted = f"{text}." if text.strip().lower() in TITLES else text
    parts = [word for part in clean_transcript(dotted) for word in part.words]
    step = (stop - start) / max(len(parts), 1)
    return [
        HeardWord(text=part, start=start + number * step, stop=start + (number + 1) * step)
        for number, part in enumerate(parts)
    ]

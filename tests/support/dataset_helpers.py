"""Recordings of bursts that stand for words, and a transcriber that hears them exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from audio.clip import Clip
from audio.energy_vad import VadOptions, find_speech_spans
from audio.io import write_clip
from core.progress import ProgressReporter
from training.asr.base import SAMPLE_RATE, Segment, TranscriberConfig, Transcript, Word
from training.asr.selection import TranscriptProvider
from training.asr.transcripts.discovery import ExistingTranscript
from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.prepare import PrepareJob

HZ = 24_000
WORD_S, GAP_S, PAUSE_S = 0.35, 0.08, 0.8
LOWEST_HZ, STEP_HZ = 300, 60  # a word is a pitch


def said(*sentences: Sequence[int], pause_s: float = PAUSE_S, level: float = 0.3) -> Clip:
    """A recording: each number is a word, each sequence a sentence."""
    parts = [torch.zeros(round(0.4 * HZ))]
    for sentence in sentences:
        for word in sentence:
            parts += [level * _burst(word), torch.zeros(round(GAP_S * HZ))]
        parts.append(torch.zeros(round((pause_s - GAP_S) * HZ)))
    wave = torch.cat(parts)
    hiss = torch.randn(wave.shape[0], generator=torch.Generator().manual_seed(1))
    return Clip(wave=wave + 2e-4 * hiss, sample_rate=HZ)


def _burst(word: int) -> Tensor:
    time = torch.arange(round(WORD_S * HZ)) / HZ
    pitch = LOWEST_HZ + STEP_HZ * word
    tone = sum(torch.sin(2 * math.pi * pitch * k * time) / k for k in (1, 2, 3))
    assert isinstance(tone, Tensor)
    return tone * (math.pi * time / WORD_S).sin().sqrt() / 2


@dataclass
class ExactEar:
    """Hears each burst as the word for its pitch; remembers how often it listened."""

    name: str = "exact ear"
    language: str = "en"
    heard: list[float] = field(default_factory=list)
    stops_after: int | None = None

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Write down the bursts."""
        if self.stops_after is not None and len(self.heard) >= self.stops_after:
            raise KeyboardInterrupt
        self.heard.append(wave.shape[0] / SAMPLE_RATE)
        options = VadOptions(pause_s=0.04, burst_s=0.1, margin_s=0.0)
        clip = Clip(wave=wave, sample_rate=SAMPLE_RATE)
        words = []
        for span in find_speech_spans(clip, options):
            report.check_cancelled()
            spectrum = torch.fft.rfft(wave[span.start : span.stop]).abs()
            pitch = float(spectrum.argmax()) * SAMPLE_RATE / (span.stop - span.start)
            text = spelled(round((pitch - LOWEST_HZ) / STEP_HZ))
            words.append(
                Word(text=text, start_s=span.start / SAMPLE_RATE, stop_s=span.stop / SAMPLE_RATE)
            )
        if not words:
            return Transcript(segments=(), language=self.language)
        whole = Segment(
            start_s=words[0].start_s, stop_s=words[-1].stop_s,
            text=" ".join(word.text for word in words), words=tuple(words), confidence=0.9,
        )  # fmt: skip
        return Transcript(segments=(whole,), language=self.language)


def spelled(word: int) -> str:
    """The word of a number: 0 is "wa", 1 "wb", 26 "wba"."""
    letters = chr(97 + word % 26)
    return f"w{letters}" if word < 26 else f"{spelled(word // 26)}{letters}"


def spoken(*words: int) -> str:
    """What is heard of a sentence."""
    return " ".join(map(spelled, words))


def listening(ear: ExactEar | None) -> object:
    """Stand in for `listener`: given words first, then this ear."""

    def listener(
        wish: TranscriberConfig,
        files: Sequence[Path],
        given: dict[Path, ExistingTranscript],
        models: Path,
        report: ProgressReporter,
    ) -> TranscriptProvider:
        return TranscriptProvider(
            name=ear.name if ear else "given", existing_transcripts=given, transcriber=ear
        )

    return listener


def job(root: Path, **changed: object) -> PrepareJob:
    """A wish to prepare root/in as root/out, text unchecked and loudness as it is."""
    options = changed.pop("options", None) or PrepareOptions(check_text=False, check_speakers=False)
    assert isinstance(options, PrepareOptions)
    return PrepareJob(
        name="out",
        voice="",
        recordings=root / "in",
        target=root / "out",
        models=root / "whisper",
        wish=TranscriberConfig(language="en"),
        options=options,
        anew=bool(changed.get("anew")),
    )


def record(root: Path, name: str, clip: Clip) -> Path:
    """Put a recording into root/in."""
    path = root / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, clip)
    return path

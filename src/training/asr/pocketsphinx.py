"""Transcriber: PocketSphinx, whose American English model is part of its package.

Words have times and confidences; numbers are transcribed as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from pocketsphinx import Decoder
from torch import Tensor

from audio.energy_vad import SampleSpan
from core.progress import ProgressReporter
from training.asr.base import POCKETSPHINX, SAMPLE_RATE, Segment, TranscribeError, Transcript, Word
from training.asr.chunking import split_into_chunks

MAX_CHUNK_S = 10.0  # of speech at a time: the search over it cannot be interrupted
MIN_CHUNK_S = 0.1
BLOCK_S = 0.5  # of audio between two checks of the stop request
FRAMES_PER_S = 100
_FILLER_WORD = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
_PRONUNCIATION_VARIANT = re.compile(r"\(\d+\)$")  # read(2): the second pronunciation


class PocketSphinx:
    """Transcribe American English.  language: "" or "en"."""

    name = f"{POCKETSPHINX} en-us"

    def __init__(self, language: str = "") -> None:
        if language not in ("", "en"):
            raise TranscribeError(
                f"PocketSphinx supports English only, not {language!r}. Choose a Whisper model, or "
                "add transcripts: a .txt beside each recording, or a metadata.csv."
            )
        self._decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Transcribe chunk by chunk.  wave: (n,) at `SAMPLE_RATE`."""
        spans = split_into_chunks(wave, MAX_CHUNK_S)
        segments = [
            self._transcribe_chunk(wave, span, report) for span in report.track(spans, "listening")
        ]
        return Transcript(segments=tuple(one for one in segments if one is not None), language="en")

    def recognize_words(self, wave: Tensor, report: ProgressReporter) -> list[tuple[Word, float]]:
        """Return the words of one chunk with their confidences, 0 to 1.  wave: (n,)."""
        if len(wave) < MIN_CHUNK_S * SAMPLE_RATE:
            return []
        self._decode(wave, report)
        return list(self._read_words())

    def _transcribe_chunk(
        self, wave: Tensor, span: SampleSpan, report: ProgressReporter
    ) -> Segment | None:
        recognized = self.recognize_words(wave[span.start : span.stop], report)
        if not recognized:
            return None
        offset = span.start / SAMPLE_RATE
        words = tuple(_shift_word(word, offset) for word, _ in recognized)
        return Segment(
            start_s=words[0].start_s,
            stop_s=words[-1].stop_s,
            text=" ".join(word.text for word in words),
            words=words,
            confidence=sum(sure for _, sure in recognized) / len(recognized),
        )

    def _decode(self, wave: Tensor, report: ProgressReporter) -> None:
        samples = (wave.clamp(-1, 1) * 32_767).to(torch.int16).numpy()
        block = int(BLOCK_S * SAMPLE_RATE)
        self._decoder.set_cmn(estimate_cmn(samples.tobytes()))
        self._decoder.start_utt()
        try:
            for start in range(0, len(samples), block):
                report.check_cancelled()
                self._decoder.process_raw(samples[start : start + block].tobytes())
        finally:
            self._decoder.end_utt()

    def _read_words(self) -> Iterator[tuple[Word, float]]:
        entries: Any = self._decoder.seg() or ()  # Any: the wheel has no types
        for segment in entries:
            if not _FILLER_WORD.fullmatch(segment.word):
                start, stop = segment.start_frame, segment.end_frame + 1
                word = Word(
                    text=_PRONUNCIATION_VARIANT.sub("", segment.word),
                    start_s=start / FRAMES_PER_S,
                    stop_s=stop / FRAMES_PER_S,
                )
                yield word, min(1.0, float(segment.prob))


def estimate_cmn(samples: bytes) -> str:
    """Return the cepstral mean of int16 samples at `SAMPLE_RATE`, which a decoder subtracts.

    A decoder would estimate it block by block, and recognize very little in old or distant
    recordings. A keyword search computes it quickly.
    """
    decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", lm=None, keyphrase="hello")
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    mean: str = decoder.get_cmn(False)
    decoder.end_utt()
    return mean


def _shift_word(word: Word, offset_s: float) -> Word:
    return Word(
        text=word.text,
        start_s=round(word.start_s + offset_s, 3),
        stop_s=round(word.stop_s + offset_s, 3),
    )

"""OpenAI's Whisper: a recording in stretches of up to half a minute, every word with its time.

Whisper itself takes half a minute at a time and guesses where to go on. Here the recording is cut
in its pauses first, so a stretch never begins within a word, an hour says how far it is and stops
when asked, and what went wrong in one stretch is not carried on into the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from whisper import Whisper
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.tokenizer import LANGUAGES

from jobs.report import Reporter
from speech.vad import Span
from training.manifest import Word
from training.transcribe.base import RATE, WHISPER, Segment, TranscribeError, Transcript
from training.transcribe.languages import language_code
from training.transcribe.stretches import stretches
from training.transcribe.text import clean_text

T = TypeVar("T")
LONGEST_S = 28.0  # Whisper takes 30; a little silence behind tells it that a sentence ended
SHORTEST_S = 0.1
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn while the text is unlikely or repeats
BEAM = 5  # on a GPU; the processor takes the likeliest word at once
MOST_FOR_LANGUAGE = 3  # stretches that are listened to before the language is chosen
OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


class OpenAiWhisper:
    """Listens with a Whisper network.  language: a code or a name, "" for whatever is heard."""

    def __init__(
        self, network: Whisper, *, model: str, device: torch.device, language: str = ""
    ) -> None:
        self.name = f"{WHISPER} {model}"
        self._network = network
        self._language = language_code(language, tuple(LANGUAGES)[: network.num_languages])
        if not network.is_multilingual and self._language not in ("", "en"):
            raise TranscribeError(
                f"The Whisper model {model} hears English only, not {LANGUAGES[self._language]}. "
                f"Take {model.removesuffix('.en')}, or leave the language open."
            )
        self._device = device if device.type == "cuda" else torch.device("cpu")

    def transcribe(self, wave: Tensor, report: Reporter) -> Transcript:
        """Write down what is said, stretch by stretch.  wave: (n,) at `RATE`."""
        spans = [one for one in stretches(wave, LONGEST_S) if _seconds(one) >= SHORTEST_S]
        segments: list[Segment] = []
        with _stopping_at_each_token(self._network, report):
            self._to_device(report)
            language = self._language or self._with_room(
                report, lambda: self._language_of(wave, spans)
            )
            for span in report.track(spans, "listening"):
                part = wave[span.start : span.stop]
                heard = self._with_room(report, partial(self._hear, part, language))
                segments += _segments(heard, span)
        return Transcript(segments=tuple(segments), language=language)

    def _to_device(self, report: Reporter) -> None:
        with suppress(*OUT_OF_MEMORY):
            self._network.to(self._device)
            return
        self._retreat(report)

    def _with_room(self, report: Reporter, listen: Callable[[], T]) -> T:
        """Listen, and once more on the processor where the GPU has too little memory."""
        with suppress(*OUT_OF_MEMORY):
            return listen()
        self._retreat(report)
        return listen()

    def _retreat(self, report: Reporter) -> None:
        """Go on with the processor, which is slower and has more memory."""
        if self._device.type == "cpu":
            raise TranscribeError(
                f"{self.name} needs more memory than there is. Take a smaller model."
            )
        report.warn(
            f"{self._device} has too little memory for {self.name}; the processor goes on, which "
            "is slower. A smaller model, or closing other programs, makes room."
        )
        self._device = torch.device("cpu")
        self._network.to(self._device)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _hear(self, wave: Tensor, language: str) -> dict[str, Any]:  # Any: whisper has no types
        on_gpu = self._device.type == "cuda"
        many = BEAM if on_gpu else None
        told: dict[str, Any] = self._network.transcribe(
            wave.float().numpy(),
            language=language,
            temperature=TEMPERATURES,
            condition_on_previous_text=False,  # a slip would go on to the end
            word_timestamps=True,
            beam_size=many,
            best_of=many,
            fp16=on_gpu,
            verbose=None,
        )
        return told

    def _language_of(self, wave: Tensor, spans: list[Span]) -> str:
        """Return the language that the longest stretches are most likely in."""
        if not self._network.is_multilingual:
            return "en"
        longest = sorted(spans, key=_seconds, reverse=True)[:MOST_FOR_LANGUAGE]
        likely: dict[str, float] = {}
        for span in longest:
            samples = pad_or_trim(wave[span.start : span.stop].float(), N_SAMPLES)
            mel = log_mel_spectrogram(samples, self._network.dims.n_mels)
            mel = pad_or_trim(mel, N_FRAMES).to(self._device)
            _, shares = self._network.detect_language(mel)
            for code, share in shares.items():
                likely[code] = likely.get(code, 0.0) + share * _seconds(span)
        return max(likely, key=lambda code: likely[code]) if likely else ""


@contextmanager
def _stopping_at_each_token(network: Whisper, report: Reporter) -> Iterator[None]:
    """Look whether to stop before each word piece: half a minute of speech can take minutes."""

    def look(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        report.check()

    hooks = [part.register_forward_pre_hook(look) for part in (network.encoder, network.decoder)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _segments(told: dict[str, Any], span: Span) -> Iterator[Segment]:
    """What Whisper says of a stretch, in seconds of the recording."""
    offset, length = span.start / RATE, _seconds(span)
    for row in told["segments"]:
        words, sure = [], []
        for one in row.get("words") or ():
            text = clean_text(one["word"])
            start, stop = (min(max(0.0, float(one[key])), length) for key in ("start", "end"))
            if text:
                words.append(Word(text=text, start_s=offset + start, stop_s=offset + stop))
                sure.append(float(one["probability"]))
        text = clean_text(row["text"])
        start, stop = (min(max(0.0, float(row[key])), length) for key in ("start", "end"))
        if text and stop > start:
            likely = sum(sure) / len(sure) if sure else math.exp(float(row["avg_logprob"]))
            yield Segment(
                start_s=offset + start,
                stop_s=offset + stop,
                text=text,
                words=tuple(words),
                confidence=min(1.0, max(0.0, likely)),
            )


def _seconds(span: Span) -> float:
    return (span.stop - span.start) / RATE

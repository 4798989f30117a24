"""OpenAI's Whisper: a recording in stretches of up to half a minute, every word with its time.

Whisper itself takes half a minute at a time and guesses where to go on. Here the recording is cut
in its pauses first, so a stretch never begins within a word, an hour says how far it is and stops
when asked, and what went wrong in one stretch is not carried on into the next.
"""

from __future__ import annotations

import base64
import gzip
import math
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from whisper import _ALIGNMENT_HEADS, Whisper
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.model import ModelDimensions
from whisper.tokenizer import LANGUAGES

from audio.energy_vad import SampleSpan
from core.progress import ProgressReporter
from training.asr.base import (
    SAMPLE_RATE,
    WHISPER,
    Segment,
    TranscribeError,
    Transcript,
    Word,
    clean_text,
)
from training.asr.chunking import split_into_chunks
from training.asr.languages import resolve_language_code

T = TypeVar("T")
MAX_CHUNK_S = 28.0  # Whisper takes 30; a little silence behind tells it that a sentence ended
MIN_CHUNK_S = 0.1
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn while the text is unlikely or repeats
BEAM_SIZE = 5  # on a GPU; the processor takes the likeliest word at once
LANGUAGE_DETECTION_CHUNKS = 3  # stretches that are listened to before the language is chosen
OUT_OF_MEMORY_ERRORS = (torch.OutOfMemoryError, MemoryError)


class OpenAiWhisper:
    """Listens with a Whisper network.  language: a code or a name, "" for whatever is heard."""

    def __init__(
        self, network: Whisper, *, model: str, device: torch.device, language: str = ""
    ) -> None:
        self.name = f"{WHISPER} {model}"
        self._network = network
        self._language = resolve_language_code(language, tuple(LANGUAGES)[: network.num_languages])
        if not network.is_multilingual and self._language not in ("", "en"):
            raise TranscribeError(
                f"The Whisper model {model} hears English only, not {LANGUAGES[self._language]}. "
                f"Take {model.removesuffix('.en')}, or leave the language open."
            )
        self._device = device if device.type == "cuda" else torch.device("cpu")

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Write down what is said, stretch by stretch.  wave: (n,) at `SAMPLE_RATE`."""
        spans = [
            one for one in split_into_chunks(wave, MAX_CHUNK_S) if _seconds(one) >= MIN_CHUNK_S
        ]
        segments: list[Segment] = []
        with _check_cancelled_at_each_token(self._network, report):
            self._to_device(report)
            language = self._language or self._with_cpu_fallback(
                report, lambda: self._detect_language(wave, spans)
            )
            for span in report.track(spans, "listening"):
                part = wave[span.start : span.stop]
                heard = self._with_cpu_fallback(
                    report, partial(self._transcribe_chunk, part, language)
                )
                segments += _make_segments(heard, span)
        return Transcript(segments=tuple(segments), language=language)

    def _to_device(self, report: ProgressReporter) -> None:
        with suppress(*OUT_OF_MEMORY_ERRORS):
            self._network.to(self._device)
            return
        self._fall_back_to_cpu(report)

    def _with_cpu_fallback(self, report: ProgressReporter, listen: Callable[[], T]) -> T:
        """Listen, and once more on the processor where the GPU has too little memory."""
        with suppress(*OUT_OF_MEMORY_ERRORS):
            return listen()
        self._fall_back_to_cpu(report)
        return listen()

    def _fall_back_to_cpu(self, report: ProgressReporter) -> None:
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

    def _transcribe_chunk(
        self, wave: Tensor, language: str
    ) -> dict[str, Any]:  # Any: whisper has no types
        on_gpu = self._device.type == "cuda"
        many = BEAM_SIZE if on_gpu else None
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

    def _detect_language(self, wave: Tensor, spans: list[SampleSpan]) -> str:
        """Return the language that the longest stretches are most likely in."""
        if not self._network.is_multilingual:
            return "en"
        longest = sorted(spans, key=_seconds, reverse=True)[:LANGUAGE_DETECTION_CHUNKS]
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
def _check_cancelled_at_each_token(network: Whisper, report: ProgressReporter) -> Iterator[None]:
    """Look whether to stop before each word piece: half a minute of speech can take minutes."""

    def look(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        report.check_cancelled()

    hooks = [part.register_forward_pre_hook(look) for part in (network.encoder, network.decoder)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _make_segments(told: dict[str, Any], span: SampleSpan) -> Iterator[Segment]:
    """What Whisper says of a stretch, in seconds of the recording."""
    offset, length = span.start / SAMPLE_RATE, _seconds(span)
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


def _seconds(span: SampleSpan) -> float:
    return (span.stop - span.start) / SAMPLE_RATE


_ALLOWED_DIMS: Mapping[str, range | tuple[int, ...]] = MappingProxyType(
    {
        "n_mels": (80, 128),
        "n_audio_ctx": (1500,),  # 30 s; the code around the network takes no other
        "n_audio_state": range(2, 4097),
        "n_audio_head": range(1, 65),
        "n_audio_layer": range(1, 65),
        "n_vocab": (51_864, 51_865, 51_866),
        "n_text_ctx": range(8, 4097),
        "n_text_state": range(2, 4097),
        "n_text_head": range(1, 65),
        "n_text_layer": range(1, 65),
    }
)
_FILE_HINT = "Take a .pt file of openai-whisper, such as base.pt."


def load_whisper_model(path: Path) -> Whisper:
    """Build the network of a .pt file on the processor, ready to listen.

    Raises TranscribeError for a file that is missing, damaged, dangerous or something else.
    """
    checkpoint = _load_checkpoint(path)
    if not isinstance(checkpoint, Mapping) or not {"dims", "model_state_dict"} <= set(checkpoint):
        raise TranscribeError(
            f"{path.name} is no Whisper model: it lacks 'dims' or 'model_state_dict'. {_FILE_HINT} "
            "A model from transformers has to be converted first."
        )
    dims = _parse_dims(path, checkpoint["dims"])
    _check_shapes(path, dims, checkpoint["model_state_dict"])
    network = Whisper(dims)
    try:
        network.load_state_dict(checkpoint["model_state_dict"])
    except RuntimeError as error:
        raise TranscribeError(
            f"{path.name} does not hold the network that it describes. {_FILE_HINT}"
        ) from error
    _set_alignment_heads(network, path)
    return network.eval()


def _load_checkpoint(path: Path) -> Any:  # Any: whatever the file holds
    if not path.is_file():
        raise TranscribeError(f"There is no file {path}. {_FILE_HINT}")
    try:
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise TranscribeError(
            f"{path.name} is damaged, or holds more than numbers; a file that could run a program "
            f"is not opened. {_FILE_HINT}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise TranscribeError(f"{path.name} is damaged or cut short. Fetch it again.") from error


def _parse_dims(path: Path, plain: Any) -> ModelDimensions:  # Any: whatever the file holds
    names = [field.name for field in fields(ModelDimensions)]
    if not isinstance(plain, Mapping) or set(plain) != set(names):
        raise TranscribeError(
            f"{path.name}: its 'dims' do not describe a Whisper model. {_FILE_HINT}"
        )
    for name in names:
        value = plain[name]
        if type(value) is not int or value not in _ALLOWED_DIMS[name]:
            raise TranscribeError(
                f"{path.name}: its {name} is {value!r}, which no Whisper model has. {_FILE_HINT}"
            )
    dims = ModelDimensions(**plain)
    for part in ("audio", "text"):
        state, heads = plain[f"n_{part}_state"], plain[f"n_{part}_head"]
        if state % heads or state % 2:
            raise TranscribeError(
                f"{path.name}: {state} channels cannot be shared by {heads} heads. {_FILE_HINT}"
            )
    return dims


def _check_shapes(path: Path, dims: ModelDimensions, state: Any) -> None:  # Any: see above
    """Refuse dims that speak of a larger network than the file holds, before it is built."""
    wanted = {
        "encoder.positional_embedding": (dims.n_audio_ctx, dims.n_audio_state),
        "decoder.positional_embedding": (dims.n_text_ctx, dims.n_text_state),
        "decoder.token_embedding.weight": (dims.n_vocab, dims.n_text_state),
        f"encoder.blocks.{dims.n_audio_layer - 1}.mlp_ln.weight": (dims.n_audio_state,),
        f"decoder.blocks.{dims.n_text_layer - 1}.mlp_ln.weight": (dims.n_text_state,),
    }
    held = state if isinstance(state, Mapping) else {}
    for name, shape in wanted.items():
        tensor = held.get(name)
        if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape:
            raise TranscribeError(
                f"{path.name} does not hold the network that it describes: {name} should be "
                f"{shape}. {_FILE_HINT}"
            )


def _set_alignment_heads(network: Whisper, path: Path) -> None:
    """Let the attention heads that follow the sound best tell the times of words."""
    dump = _ALIGNMENT_HEADS.get(path.stem)
    heads = network.dims.n_text_layer * network.dims.n_text_head
    if dump is not None and len(gzip.decompress(base64.b85decode(dump))) == heads:
        network.set_alignment_heads(dump)

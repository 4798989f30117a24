"""Transcriber: OpenAI's Whisper (openai-whisper), and the loading of its .pt files.

Whisper by itself takes windows of 30 s and guesses where the next one starts. Here recordings are
split at pauses first: no window starts within a word, progress and cancellation work per window,
and an error in one window does not affect the next.
"""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from engines.model_files import ModelFileError
from engines.safetensors_io import read_pickle
from training.asr.base import (
    WHISPER,
    WHISPER_TEMPERATURES,
    Segment,
    TranscribeError,
    Transcript,
)
from training.asr.chunking import make_segment, split_for_whisper
from training.asr.languages import parse_language_code

T = TypeVar("T")
BEAM_SIZE = 5  # on a GPU; greedy on the CPU
LANGUAGE_DETECTION_CHUNKS = 3  # the longest ones, from which the language is detected
OUT_OF_MEMORY_ERRORS = (torch.OutOfMemoryError, MemoryError)


class OpenAiWhisper:
    """Transcribe with a Whisper network.

    language: a code or name, "" to detect it.  temperatures: the next one is tried while the text
    is unlikely.
    """

    def __init__(
        self,
        network: Whisper,
        *,
        model: str,
        device: torch.device,
        language: str = "",
        temperatures: Sequence[float] = WHISPER_TEMPERATURES,
    ) -> None:
        self._temperatures = tuple(temperatures)
        self.name = f"{WHISPER} {model}"
        self._network = network
        self._language = parse_language_code(language, tuple(LANGUAGES)[: network.num_languages])
        if not network.is_multilingual and self._language not in ("", "en"):
            raise TranscribeError(
                f"The Whisper model {model} supports English only, not "
                f"{LANGUAGES[self._language]}. Choose {model.removesuffix('.en')}, or leave the "
                "language empty."
            )
        self._device = device if device.type == "cuda" else torch.device("cpu")

    def transcribe(self, wave: Tensor, report: ProgressReporter) -> Transcript:
        """Transcribe chunk by chunk.  wave: (n,) at `SAMPLE_RATE`."""
        spans = split_for_whisper(wave)
        segments: list[Segment] = []
        with _check_cancelled_at_each_token(self._network, report):
            self._to_device(report)
            language = self._language or self._with_cpu_fallback(
                report, lambda: self._detect_language(wave, spans)
            )
            for span in report.track(spans, "listening"):
                part = wave[span.start : span.stop]
                result = self._with_cpu_fallback(
                    report, partial(self._transcribe_chunk, part, language)
                )
                segments += _make_segments(result, span)
        return Transcript(segments=tuple(segments), language=language)

    def _to_device(self, report: ProgressReporter) -> None:
        with suppress(*OUT_OF_MEMORY_ERRORS):
            self._network.to(self._device)
            return
        self._fall_back_to_cpu(report)

    def _with_cpu_fallback(self, report: ProgressReporter, work: Callable[[], T]) -> T:
        with suppress(*OUT_OF_MEMORY_ERRORS):
            return work()
        self._fall_back_to_cpu(report)
        return work()

    def _fall_back_to_cpu(self, report: ProgressReporter) -> None:
        if self._device.type == "cpu":
            raise TranscribeError(
                f"{self.name} needs more memory than is available. Choose a smaller model."
            )
        report.warn(
            f"{self._device} has too little memory for {self.name}; the CPU continues, which is "
            "slower. Choose a smaller model, or close other programs."
        )
        self._device = torch.device("cpu")
        self._network.to(self._device)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _transcribe_chunk(self, wave: Tensor, language: str) -> dict[str, Any]:  # Any: untyped
        on_gpu = self._device.type == "cuda"
        beam_size = BEAM_SIZE if on_gpu else None
        result: dict[str, Any] = self._network.transcribe(
            wave.float().numpy(),
            language=language,
            temperature=self._temperatures,
            condition_on_previous_text=False,  # an error would affect all that follows
            word_timestamps=True,
            beam_size=beam_size,
            best_of=beam_size,
            fp16=on_gpu,
            verbose=None,
        )
        return result

    def _detect_language(self, wave: Tensor, spans: list[SampleSpan]) -> str:
        if not self._network.is_multilingual:
            return "en"
        by_length = sorted(spans, key=lambda span: span.start - span.stop)
        likely: dict[str, float] = {}
        for span in by_length[:LANGUAGE_DETECTION_CHUNKS]:
            samples = pad_or_trim(wave[span.start : span.stop].float(), N_SAMPLES)
            mel = log_mel_spectrogram(samples, self._network.dims.n_mels)
            mel = pad_or_trim(mel, N_FRAMES).to(self._device)
            _, shares = self._network.detect_language(mel)
            for code, share in shares.items():
                likely[code] = likely.get(code, 0.0) + share * (span.stop - span.start)
        return max(likely, key=lambda code: likely[code]) if likely else ""


@contextmanager
def _check_cancelled_at_each_token(network: Whisper, report: ProgressReporter) -> Iterator[None]:
    """Check for cancellation at each token: half a minute of speech can take minutes."""

    def check(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        report.check_cancelled()

    hooks = [part.register_forward_pre_hook(check) for part in (network.encoder, network.decoder)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _make_segments(result: dict[str, Any], span: SampleSpan) -> Iterator[Segment]:
    for row in result["segments"]:
        words = [
            (one["word"], one["start"], one["end"], one["probability"])
            for one in row.get("words") or ()
        ]
        segment = make_segment(
            span, (row["start"], row["end"]), row["text"], words, math.exp(row["avg_logprob"])
        )
        if segment is not None:
            yield segment


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
_FILE_HINT = "Use a .pt file of openai-whisper, such as base.pt."


def load_whisper_model(path: Path) -> Whisper:
    """Load a .pt file of openai-whisper on the CPU, in evaluation mode.

    `whisper.load_model` also loads with weights_only, but trusts the sizes that the file states
    and drops the published alignment heads of a file. Raises TranscribeError for a file that is
    missing, damaged, unsafe or no Whisper model.
    """
    try:
        checkpoint = read_pickle(path, _FILE_HINT)
    except ModelFileError as error:
        raise TranscribeError(str(error)) from error
    if not isinstance(checkpoint, Mapping) or not {"dims", "model_state_dict"} <= set(checkpoint):
        raise TranscribeError(
            f"{path.name} is not a Whisper model: it lacks 'dims' or 'model_state_dict'. "
            f"{_FILE_HINT} "
            "For a model in Hugging Face format, choose the transcriber transformers."
        )
    dims = _parse_dims(path, checkpoint["dims"])
    _check_shapes(path, dims, checkpoint["model_state_dict"])
    network = Whisper(dims)
    try:
        network.load_state_dict(checkpoint["model_state_dict"])
    except RuntimeError as error:
        raise TranscribeError(
            f"{path.name} does not contain the network that it describes. {_FILE_HINT}"
        ) from error
    _set_alignment_heads(network, path)
    return network.eval()


def _parse_dims(path: Path, plain: Any) -> ModelDimensions:  # Any: contents of a file
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


def _check_shapes(path: Path, dims: ModelDimensions, state: Any) -> None:  # Any: contents of a file
    """Check the sizes that the file states before a network of these sizes is built."""
    expected = {
        "encoder.positional_embedding": (dims.n_audio_ctx, dims.n_audio_state),
        "decoder.positional_embedding": (dims.n_text_ctx, dims.n_text_state),
        "decoder.token_embedding.weight": (dims.n_vocab, dims.n_text_state),
        f"encoder.blocks.{dims.n_audio_layer - 1}.mlp_ln.weight": (dims.n_audio_state,),
        f"decoder.blocks.{dims.n_text_layer - 1}.mlp_ln.weight": (dims.n_text_state,),
    }
    tensors = state if isinstance(state, Mapping) else {}
    for name, shape in expected.items():
        tensor = tensors.get(name)
        if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape:
            raise TranscribeError(
                f"{path.name} does not contain the network that it describes: {name} should be "
                f"{shape}. {_FILE_HINT}"
            )


def _set_alignment_heads(network: Whisper, path: Path) -> None:
    """Set the attention heads that give the times of words, where they are published."""
    dump = _ALIGNMENT_HEADS.get(path.stem)
    heads = network.dims.n_text_layer * network.dims.n_text_head
    if dump is not None and len(gzip.decompress(base64.b85decode(dump))) == heads:
        network.set_alignment_heads(dump)

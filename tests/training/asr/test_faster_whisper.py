"""faster-whisper: an untrained converted model is heard with, and what is missing is told.

Whether the package tells languages apart is its own matter: for that a stub of its public API
stands in (WhisperModel.detect_language, .transcribe, .supported_languages, .model.is_multilingual).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from core.progress import Cancelled, ProgressReporter
from training.asr.availability import REQUIRED_FILES, find_converted_model, list_converted_models
from training.asr.base import SAMPLE_RATE, TranscribeError, TranscriberConfig
from training.asr.faster_whisper import FasterWhisper
from training.asr.selection import load_transcriber

LANGUAGES = ("en", "de", "fr")
SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)),
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"),
    "<|notimestamps|>",
)
CPU = torch.device("cpu")
WORDS = tuple(f" word{number}" for number in range(100))
STAMPS = tuple(f"<|{number * 0.02:.2f}|>" for number in range(1501))
TOKENS = (*WORDS, *SPECIAL, *STAMPS)


def wave(seconds: float) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return 0.3 * torch.rand(int(seconds * SAMPLE_RATE), generator=draw) - 0.15


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a converted model called "little"."""
    pytest.importorskip("faster_whisper", reason="the extra faster-whisper is not installed")
    folder = tmp_path_factory.mktemp("models") / "whisper"
    convert(folder / "little")
    return folder


def convert(folder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="converting needs transformers")
    from ctranslate2.converters.transformers import WhisperLoader
    from tokenizers import Tokenizer, decoders, models

    folder.mkdir(parents=True)
    tokenizer = Tokenizer(
        models.WordLevel(dict(zip(TOKENS, range(len(TOKENS)), strict=True)), WORDS[0])
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.add_tokens(list(STAMPS))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    end = TOKENS.index("<|endoftext|>")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = transformers.WhisperForConditionalGeneration(
            transformers.WhisperConfig(
                vocab_size=len(TOKENS),
                d_model=16,
                encoder_layers=1,
                decoder_layers=1,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=32,
                decoder_ffn_dim=32,
                **{f"{name}_token_id": end for name in ("pad", "bos", "eos", "decoder_start")},
            )
        )
    spec = WhisperLoader().get_model_spec(network)
    spec.register_vocabulary(list(TOKENS))
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids = [TOKENS.index(f"<|{code}|>") for code in LANGUAGES]
    spec.config.alignment_heads = [(0, 0), (0, 1)]
    spec.validate()
    spec.save(str(folder))


def test_a_converted_model_listens_with_times_within_the_recording(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.asr.base.WHISPER_TEMPERATURES", (0.0,))
    wish = TranscriberConfig(name="faster-whisper", device="cpu")
    transcriber = load_transcriber(wish, models, ProgressReporter())
    assert transcriber.name == "faster-whisper little"
    sound = torch.cat([torch.zeros(2 * SAMPLE_RATE), wave(3)])
    transcript = transcriber.transcribe(sound, ProgressReporter())
    assert transcript.language == "en"
    for segment in transcript.segments:
        assert 1.5 <= segment.start_s < segment.stop_s <= len(sound) / SAMPLE_RATE
        assert all(word.text.startswith("word") for word in segment.words)
    with pytest.raises(Cancelled):
        transcriber.transcribe(sound, ProgressReporter(stopped=lambda: True))


def test_folders_of_converted_models_are_found_and_others_refused(
    models: Path, tmp_path: Path
) -> None:
    assert list_converted_models(models) == ("little",)
    assert (
        find_converted_model(models, "")
        == find_converted_model(models, "little")
        == models / "little"
    )
    with pytest.raises(TranscribeError, match=r"no converted Whisper model in .*ct2-tran"):
        find_converted_model(tmp_path, "")
    (tmp_path / "model.bin").touch()
    with pytest.raises(TranscribeError, match=r"lacks config\.json, tokenizer\.json"):
        find_converted_model(models, str(tmp_path))
    for name in REQUIRED_FILES:
        (tmp_path / name).write_text("{}")
    with pytest.raises(TranscribeError, match="cannot be loaded"):
        FasterWhisper(tmp_path, device=CPU)


def test_without_the_package_the_command_that_brings_it_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    for name in REQUIRED_FILES:
        (tmp_path / name).touch()
    with pytest.raises(TranscribeError, match=r"not installed: .*pip install -r requirements-ext"):
        FasterWhisper(tmp_path, device=CPU)


class StubModel:
    """What is used of faster_whisper.WhisperModel."""

    supported_languages = LANGUAGES
    model = SimpleNamespace(is_multilingual=True)

    def __init__(self, folder: str, **options: Any) -> None:
        assert options["local_files_only"] and options["device"] == "cpu"
        self.heard: list[int] = []

    def detect_language(self, samples: Any) -> tuple[str, float, list[Any]]:
        self.heard.append(len(samples))
        return "de", 0.9, []

    def transcribe(self, samples: Any, language: str, **options: Any) -> tuple[Iterator[Any], None]:
        assert language == "de" and options["word_timestamps"]
        word = SimpleNamespace(word=" “Gut”", start=-0.1, end=99.0, probability=0.5)
        row = SimpleNamespace(start=0.0, end=1.0, text=" “Gut”", words=[word])
        empty = SimpleNamespace(start=0.0, end=0.0, text="", words=None)
        return iter([row, empty]), None


def test_an_open_language_is_detected_from_the_longest_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("faster_whisper")
    package.WhisperModel = StubModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    for name in REQUIRED_FILES:
        (tmp_path / name).touch()
    transcriber = FasterWhisper(tmp_path, device=CPU)
    silence = torch.zeros(30 * SAMPLE_RATE)
    transcript = transcriber.transcribe(torch.cat([wave(2), silence, wave(5)]), ProgressReporter())
    (length,) = transcriber._model.heard
    assert length == pytest.approx(5 * SAMPLE_RATE, abs=0.3 * SAMPLE_RATE)
    assert transcript.language == "de" and transcript.text == '"Gut" "Gut"'
    first = transcript.segments[0]
    assert (first.start_s, first.confidence) == (0.0, 0.5)
    assert first.words[0].start_s == 0.0 and first.words[0].stop_s < 3
    assert transcriber.transcribe(silence, ProgressReporter()).segments == ()
    with pytest.raises(TranscribeError, match="'xx' is not a supported language"):
        FasterWhisper(tmp_path, device=CPU, language="xx")

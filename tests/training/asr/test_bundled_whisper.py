"""Whisper tiny.en of the extra wheel, on real speech: for faster-whisper and for openai-whisper."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from audio.io import read_clip
from core.progress import ProgressEvent, ProgressReporter
from training.asr.availability import (
    find_converted_model,
    list_converted_models,
    probe_transcribers,
    select_auto_transcriber,
)
from training.asr.base import SAMPLE_RATE, TranscribeError, TranscriberConfig
from training.asr.openai_whisper import load_whisper_model
from training.asr.selection import load_transcriber, resolve_transcriber_name
from training.asr.wer import edit_distance, normalize_to_words
from training.asr.whisper_conversion import convert_ctranslate2_whisper

LIBRISPEECH = Path(__file__).resolve().parents[4] / "shared/speech/librispeech"


def read_transcripts() -> dict[Path, str]:
    table = LIBRISPEECH.with_name("librispeech_transcripts.csv")
    if not table.is_file():
        pytest.skip("the LibriSpeech clips are not beside the repository")
    rows = csv.reader(table.read_text("utf-8").splitlines(), delimiter="|")
    return {LIBRISPEECH / name.split("-")[0] / f"{name}.flac": text for name, text in rows}


@pytest.mark.parametrize("name", ["faster-whisper", "whisper"])
def test_real_speech_is_transcribed(name: str, bundled_model: Path, tmp_path: Path) -> None:
    transcripts = read_transcripts()
    if name == "faster-whisper":
        pytest.importorskip("faster_whisper", reason="the extra faster-whisper is not installed")
    transcriber = load_transcriber(
        TranscriberConfig(name=name, device="cpu"), tmp_path, ProgressReporter()
    )
    assert transcriber.name == f"{name} tiny.en"
    assert resolve_transcriber_name(TranscriberConfig(name=name), tmp_path) == name
    wrong = total = 0
    for path, text in transcripts.items():
        clip = read_clip(path).resample(SAMPLE_RATE)
        transcript = transcriber.transcribe(clip.wave, ProgressReporter())
        assert transcript.language == "en"
        words = [word for segment in transcript.segments for word in segment.words]
        assert words and words[-1].stop_s <= clip.duration_s
        expected = normalize_to_words(text)
        wrong += edit_distance(expected, normalize_to_words(transcript.text))
        total += len(expected)
    assert wrong / total < 0.15


def test_auto_prefers_the_bundled_model_to_pocketsphinx(
    bundled_model: Path, tmp_path: Path
) -> None:
    assert select_auto_transcriber(tmp_path, "en") == ("faster-whisper", "tiny.en")
    assert select_auto_transcriber(tmp_path, "de") == ("pocketsphinx", "")
    assert resolve_transcriber_name(TranscriberConfig(language="en"), tmp_path) == "faster-whisper"
    assert find_converted_model(tmp_path, "") == find_converted_model(tmp_path, "tiny.en")
    assert list_converted_models(tmp_path) == ()
    events: list[ProgressEvent] = []
    chosen = load_transcriber(TranscriberConfig(), tmp_path, ProgressReporter(events.append))
    assert chosen.name == "faster-whisper tiny.en"
    assert any("The model base is better" in event.message for event in events)
    ready = {one.name: one for one in probe_transcribers(tmp_path)}
    assert ready["faster-whisper"].models == ready["whisper"].models == ("tiny.en",)
    with pytest.raises(TranscribeError, match="not a supported language"):
        load_transcriber(
            TranscriberConfig(name="faster-whisper", language="de"), tmp_path, ProgressReporter()
        )


def test_a_model_in_the_folder_goes_before_the_bundled_one(
    bundled_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "base.en.pt").touch()
    assert select_auto_transcriber(tmp_path, "en") == ("whisper", "base.en")
    assert select_auto_transcriber(tmp_path, "") == ("whisper", "base.en")


def test_converted_weights_load_with_the_published_alignment_heads(
    bundled_model: Path, tmp_path: Path
) -> None:
    path = convert_ctranslate2_whisper(bundled_model, tmp_path / "tiny.en.pt")
    network = load_whisper_model(path)
    assert (network.dims.n_text_layer, network.dims.n_vocab) == (4, 51_864)
    assert network.alignment_heads.indices().shape[1] == 8
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.en.pt"]


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"\x06\0\0\0\x0c\0WhisperSpec\0"])
def test_other_files_are_not_converted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(TranscribeError, match="holds no Whisper model of CTranslate2"):
        convert_ctranslate2_whisper(tmp_path, tmp_path / "a.pt")

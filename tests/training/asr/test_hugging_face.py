"""Whisper and wav2vec2 in Hugging Face format: files, names, times, languages, cancellation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.progress import Cancelled, ProgressEvent, ProgressReporter
from support.hugging_face_models import write_hugging_face_whisper, write_wav2vec2
from training.asr import whisper_download
from training.asr.availability import list_hugging_face_models, probe_transcribers
from training.asr.base import SAMPLE_RATE, TranscribeError, TranscriberConfig
from training.asr.ctc_alignment import CtcAligner, find_passage_starts, load_ctc_aligner
from training.asr.forced_alignment import align_words, find_aligner
from training.asr.selection import load_transcriber, resolve_transcriber_name


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "whisper"
    write_hugging_face_whisper(folder / "small-hf")
    write_wav2vec2(folder / "wav2vec2")
    return folder


def wave(seconds: float) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return 0.3 * torch.rand(int(seconds * SAMPLE_RATE), generator=draw) - 0.15


def config(**given: Any) -> TranscriberConfig:
    return TranscriberConfig(**{"name": "transformers", "device": "cpu", **given})


def test_a_hugging_face_whisper_transcribes_with_word_times(models: Path) -> None:
    transcriber = load_transcriber(config(language="de"), models, ProgressReporter())
    assert transcriber.name == "transformers small-hf"
    sound = torch.cat([torch.zeros(2 * SAMPLE_RATE), wave(3)])
    transcript = transcriber.transcribe(sound, ProgressReporter())
    assert transcript.language == "de"
    for segment in transcript.segments:
        assert 1.5 <= segment.start_s < segment.stop_s <= len(sound) / SAMPLE_RATE
        assert segment.text and segment.words
        assert all(segment.start_s <= word.start_s <= word.stop_s for word in segment.words)
    assert transcript.segments
    detected = load_transcriber(config(), models, ProgressReporter()).transcribe
    assert detected(wave(2), ProgressReporter()).language in ("en", "de", "fr")
    assert detected(torch.zeros(SAMPLE_RATE), ProgressReporter()).segments == ()


def test_without_alignment_heads_a_segment_has_no_words(tmp_path: Path) -> None:
    folder = write_hugging_face_whisper(tmp_path / "plain", word_times=False)
    transcriber = load_transcriber(
        config(model=str(folder), language="en"), tmp_path / "none", ProgressReporter()
    )
    (segment,) = transcriber.transcribe(wave(3), ProgressReporter()).segments
    assert segment.text and segment.words == ()


def test_transcribing_stops_at_the_next_token(models: Path) -> None:
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 4

    transcriber = load_transcriber(config(language="en"), models, ProgressReporter())
    with pytest.raises(Cancelled):
        transcriber.transcribe(wave(120), ProgressReporter(stopped=stopped))
    assert looks == 5


def test_hugging_face_folders_are_found_by_their_type(models: Path, tmp_path: Path) -> None:
    assert list_hugging_face_models(models, "whisper") == ("small-hf",)
    assert list_hugging_face_models(models, "wav2vec2") == ("wav2vec2",)
    ready = {one.name: one for one in probe_transcribers(models)}
    assert ready["transformers"].is_available and ready["transformers"].models == ("small-hf",)
    assert "no Hugging Face model" in probe_transcribers(tmp_path)[4].unavailable_reason
    for automatic in (TranscriberConfig(language="de"), TranscriberConfig(model="small-hf")):
        assert resolve_transcriber_name(automatic, models) == "transformers"
    with pytest.raises(TranscribeError, match="no whisper model in Hugging Face format"):
        load_transcriber(config(), tmp_path, ProgressReporter())
    with pytest.raises(TranscribeError, match="wav2vec2 is no whisper model"):
        load_transcriber(config(model="wav2vec2"), models, ProgressReporter())
    with pytest.raises(TranscribeError, match="'xx' is not a supported language"):
        load_transcriber(config(language="xx"), models, ProgressReporter())


def test_a_repository_is_downloaded_once_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def fake(repository: str, local_dir: Path, tqdm_class: Any, **_: Any) -> None:
        calls.append(repository)
        write_hugging_face_whisper(local_dir)
        with tqdm_class(total=10, unit="B", disable=True) as bar:
            bar.update(10)

    monkeypatch.setattr(whisper_download, "snapshot_download", fake)
    wanted = config(model="someone/tiny-hf", fetch=True)
    with pytest.raises(TranscribeError, match="no whisper model"):
        load_transcriber(config(model="someone/tiny-hf"), tmp_path, ProgressReporter())
    events: list[ProgressEvent] = []
    for _ in range(2):
        transcriber = load_transcriber(wanted, tmp_path, ProgressReporter(events.append))
        assert transcriber.name == "transformers tiny-hf"
    assert calls == ["someone/tiny-hf"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny-hf"]
    assert [event.done for event in events if event.stage == "download"] == [10]

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(whisper_download, "snapshot_download", refuse)
    with pytest.raises(TranscribeError, match=r"x/y could not be downloaded \(no network\)"):
        whisper_download.download_hugging_face_model("x/y", tmp_path, ProgressReporter())


def test_a_text_is_aligned_word_by_word_in_order(models: Path) -> None:
    aligner = load_ctc_aligner(models / "wav2vec2")
    text = "She paid 12 dollars — on the 3rd of May."
    words = aligner.align(wave(6), text)
    assert words is not None and " ".join(word.text for word in words) == text
    assert all(0 <= word.start_s < word.stop_s <= 6.1 for word in words)
    assert all(one.stop_s <= two.start_s + 1e-6 for one, two in pairwise(words))
    assert aligner.align(wave(0.1), text) is None
    assert aligner.align(wave(3), "…") is None


def test_audio_that_says_something_else_is_not_aligned(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.asr.ctc_alignment.MIN_TOKEN_PROBABILITY", 0.5)
    assert load_ctc_aligner(models / "wav2vec2").align(wave(6), "a different text") is None


def test_passages_start_where_their_first_word_does(models: Path) -> None:
    aligner = load_ctc_aligner(models / "wav2vec2")
    passages = ["I am really sad,", "he said — slowly.", "Then he left."]
    starts = find_passage_starts(wave(8), passages, aligner)
    words = aligner.align(wave(8), " ".join(passages))
    assert starts is not None and words is not None
    assert starts[0] == 0.0 and starts == sorted(starts)
    by_text = {word.text: word.start_s for word in words}
    assert starts[1] == by_text["he"] or starts[1] in [word.start_s for word in words]
    assert starts[2] == by_text["Then"]


def test_an_installed_wav2vec2_goes_before_pocketsphinx(models: Path, tmp_path: Path) -> None:
    aligner = find_aligner("Some words", "en", models)
    assert aligner is not None and aligner is not align_words
    found = aligner(wave(3), "Some words")
    assert found is not None and len(found.words) == 2 and found.unaligned_speech_s >= 0
    assert find_aligner("Einige Worte", "de", models) is not None
    assert find_aligner("Несколько слов", "ru", models) is None
    assert find_aligner("Some words", "en", tmp_path) is align_words
    assert not load_ctc_aligner(models / "wav2vec2").supports("123", "de")


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TranscribeError, match="cannot be loaded"):
        CtcAligner(tmp_path)

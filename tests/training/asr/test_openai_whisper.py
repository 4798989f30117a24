"""openai-whisper with checkpoints of the real format: they are untrained, so the words are junk.

What must hold is everything around the words: files, names, times, languages, stopping, memory.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import whisper
from torch import Tensor
from whisper import Whisper
from whisper.model import ModelDimensions

from cli.main import main
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from support.whisper_helpers import ENGLISH, MULTILINGUAL, write_whisper
from training.asr import whisper_download as fetch
from training.asr.availability import (
    WHISPER_MODELS,
    find_whisper_model,
    get_model_file,
    list_local_models,
    probe_transcribers,
    select_best_model,
)
from training.asr.base import SAMPLE_RATE, TranscribeError, TranscriberConfig, join_words
from training.asr.languages import parse_language_code
from training.asr.openai_whisper import OpenAiWhisper, load_whisper_model
from training.asr.selection import load_transcriber


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "whisper"
    write_whisper(folder / "base.pt", MULTILINGUAL)
    write_whisper(folder / "base.en.pt", ENGLISH)
    return folder


@pytest.fixture(autouse=True)
def few_temperatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an untrained network says is unlikely at every temperature; two are enough to try."""
    monkeypatch.setattr("training.asr.base.WHISPER_TEMPERATURES", (0.0, 1.0))


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling what lines words up with the sound takes longer than all tests together."""
    for name in ("backtrace", "dtw_cpu"):
        monkeypatch.setattr(whisper.timing, name, getattr(whisper.timing, name).py_func)


def wave(seconds: float) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return 0.3 * torch.rand(int(seconds * SAMPLE_RATE), generator=draw) - 0.15


def chosen(models: Path, model: str = "base", language: str = "") -> OpenAiWhisper:
    wish = TranscriberConfig(name="whisper", model=model, language=language, device="cpu")
    transcriber = load_transcriber(wish, models, ProgressReporter())
    assert isinstance(transcriber, OpenAiWhisper)
    return transcriber


# listening


def test_a_long_recording_is_heard_to_its_end_with_the_time_of_every_word(models: Path) -> None:
    events: list[ProgressEvent] = []
    lead = torch.zeros(3 * SAMPLE_RATE)
    sound = torch.cat([lead, wave(32), torch.zeros(2 * SAMPLE_RATE), wave(4)])
    transcript = chosen(models, language="de").transcribe(sound, ProgressReporter(events.append))
    assert transcript.language == "de" and len(transcript.segments) > 1
    words = [word for segment in transcript.segments for word in segment.words]
    assert words and join_words(tuple(words[:2]), "de").count(" ") >= 1
    assert words[0].start_s >= 2.5
    assert all(word.start_s <= word.stop_s <= len(sound) / SAMPLE_RATE for word in words)
    assert all(one.start_s <= two.start_s for one, two in pairwise(transcript.segments))
    assert all(0 <= (segment.confidence or 0) <= 1 for segment in transcript.segments)
    progress = [event for event in events if event.kind == "progress"]
    assert progress[-1].done == progress[-1].total == 2


def test_the_same_sound_is_heard_the_same_and_nothing_is_heard_in_silence(models: Path) -> None:
    transcriber = chosen(models, "base.en")
    assert transcriber.transcribe(torch.zeros(5 * SAMPLE_RATE), ProgressReporter()).segments == ()
    assert transcriber.transcribe(torch.zeros(0), ProgressReporter()).segments == ()
    assert transcriber.name == "whisper base.en"


def test_an_open_language_is_detected_and_an_english_model_knows_one(
    models: Path,
) -> None:
    assert (
        chosen(models).transcribe(wave(2), ProgressReporter()).language
        in whisper.tokenizer.LANGUAGES
    )
    assert chosen(models, "base.en").transcribe(wave(2), ProgressReporter()).language == "en"


def test_a_language_that_the_model_cannot_hear_is_refused(models: Path) -> None:
    with pytest.raises(TranscribeError, match=r"base\.en supports English only, not german"):
        chosen(models, "base.en", "German")
    with pytest.raises(TranscribeError, match=r"'germann' is not a supported.*mean 'german'"):
        chosen(models, "base", "germann")


def test_languages_are_understood_by_name_and_by_code() -> None:
    known = ("en", "de", "yue")
    assert [
        parse_language_code(one, known) for one in ("", "EN", "de-AT", "Deutsch", "Cantonese")
    ] == [*("", "en", "de", "de", "yue")]


def test_listening_stops_at_the_next_word_piece(models: Path) -> None:
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 12

    transcriber = chosen(models, language="en")
    with pytest.raises(Cancelled):
        transcriber.transcribe(wave(120), ProgressReporter(stopped=stopped))
    assert looks == 13  # the first look after the wish, long before 120 s are read
    hooked = [module for module in transcriber._network.modules() if module._forward_pre_hooks]
    assert not hooked


# memory


class CrampedGpu:
    """Stands for a GPU: the network stays where it is, and listening there fails for memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, transcriber: OpenAiWhisper) -> None:
        self.transcriber = transcriber
        self.failures = 0
        self._original = transcriber._transcribe_chunk
        transcriber._device = torch.device("cuda", 0)
        monkeypatch.setattr(transcriber, "_to_device", lambda report: None)
        monkeypatch.setattr(transcriber, "_transcribe_chunk", self.hear)

    def hear(self, sound: Tensor, language: str) -> dict[str, Any]:
        if self.transcriber._device.type == "cuda":
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._original(sound, language)


def test_a_gpu_with_too_little_memory_hands_over_to_the_processor(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[ProgressEvent] = []
    transcriber = chosen(models, language="en")
    gpu = CrampedGpu(monkeypatch, transcriber)
    transcript = transcriber.transcribe(wave(40), ProgressReporter(events.append))
    assert transcript.segments and gpu.failures == 1
    (warning,) = [event.message for event in events if event.kind == "warning"]
    assert "cuda:0 has too little memory for whisper base; the CPU continues" in warning


def test_a_processor_with_too_little_memory_asks_for_a_smaller_model(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber = chosen(models, language="en")

    def full(*_: object) -> dict[str, Any]:
        raise MemoryError

    monkeypatch.setattr(transcriber, "_transcribe_chunk", full)
    with pytest.raises(
        TranscribeError, match=r"needs more memory than is available. Choose a smaller"
    ):
        transcriber.transcribe(wave(2), ProgressReporter())


# files


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def checkpoint(dims: ModelDimensions = MULTILINGUAL, **changed: object) -> dict[str, Any]:
    return {
        "dims": {**asdict(dims), **changed},
        "model_state_dict": Whisper(dims).state_dict(),
    }


def test_a_file_that_would_run_a_program_is_not_opened(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pt", tmp_path / "trace"
    torch.save({"dims": Bomb(trace), "model_state_dict": {}}, path)
    with pytest.raises(
        TranscribeError, match=r"evil\.pt is damaged, or contains more than tensors"
    ):
        load_whisper_model(path)
    path.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(TranscribeError, match=r"evil\.pt is damaged"):
        load_whisper_model(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"n_text_layer": 10**9}, "its n_text_layer is 1000000000, which no Whisper"),
        (
            {"n_text_ctx": 4096},
            "does not contain the network that it describes: decoder.positional",
        ),
        ({"n_text_layer": 3}, r"does not contain .* decoder\.blocks\.2"),
        ({"n_vocab": 51_866}, r"does not contain .*token_embedding.*51866"),
        ({"n_audio_ctx": 3000}, "its n_audio_ctx is 3000"),
        ({"n_audio_head": 3}, "16 channels cannot be shared by 3 heads"),
        ({"n_mels": True}, "its n_mels is True"),
        ({"colour": 3}, "'dims' do not describe a Whisper"),
    ],
)
def test_dims_that_do_not_fit_are_refused_before_anything_is_built(
    tmp_path: Path, changed: dict[str, object], complaint: str
) -> None:
    path = tmp_path / "odd.pt"
    torch.save(checkpoint(**changed), path)
    with pytest.raises(TranscribeError, match=complaint):
        load_whisper_model(path)


def test_another_network_half_a_file_and_junk_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model.encoder.conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(TranscribeError, match=r"other\.pt is not a Whisper model: it lacks 'dims'"):
        load_whisper_model(path)
    lacking = checkpoint()
    del lacking["model_state_dict"]["encoder.conv1.weight"]
    torch.save(lacking, path)
    with pytest.raises(TranscribeError, match="does not contain the network"):
        load_whisper_model(path)
    torch.save(checkpoint(), path)
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], b"", b"\x00" * 100, b"{}"):
        path.write_bytes(part)
        with pytest.raises(TranscribeError, match=r"other\.pt is damaged"):
            load_whisper_model(path)


def test_published_heads_are_heeded_where_they_fit(tmp_path: Path) -> None:
    dims = replace(MULTILINGUAL, n_text_layer=4, n_text_head=6, n_text_state=24, n_audio_state=24)
    named = load_whisper_model(write_whisper(tmp_path / "tiny.pt", dims))
    own = load_whisper_model(write_whisper(tmp_path / "own.pt", dims))
    small = load_whisper_model(write_whisper(tmp_path / "base.pt", MULTILINGUAL))
    assert named.alignment_heads.indices().T.tolist() == [[2, 2], [3, 0], [3, 2], [3, 3],
                                                          [3, 4], [3, 5]]  # fmt: skip
    assert own.alignment_heads.indices().shape[1] == 12 and small.dims == MULTILINGUAL


# names and places


def test_every_name_that_whisper_knows_is_known_here() -> None:
    assert set(WHISPER_MODELS) == set(whisper.available_models())
    for name, url in whisper._MODELS.items():
        assert get_model_file(Path(), name).name == url.split("/")[-1]


def test_models_are_listed_best_first_and_english_ones_count_for_english(tmp_path: Path) -> None:
    for name in ("tiny", "small", "small.en", "mine", "large-v3-turbo"):
        (tmp_path / f"{name}.pt").touch()
    here = list_local_models(tmp_path)
    assert here == ("large-v3-turbo", "small", "small.en", "tiny", "mine")
    assert (
        select_best_model(here[1:], "en") == "small.en"
        and select_best_model(here[1:], "de") == "small"
    )
    assert select_best_model(("tiny.en",), "") == "" and list_local_models(tmp_path / "none") == ()


def test_a_model_is_found_by_name_or_path_and_never_fetched_unasked(
    models: Path, tmp_path: Path
) -> None:
    own = write_whisper(tmp_path / "voices/mine.pt")
    assert chosen(models, str(own), "en").name == "whisper mine"
    assert find_whisper_model(models, "base.pt") == models / "base.pt"
    with pytest.raises(TranscribeError, match=r"'large' is not in .*Allow its download") as refusal:
        chosen(models, "large")
    assert "models download whisper-large` downloads it" in refusal.value.cli_hint
    with pytest.raises(TranscribeError, match=r"There is no file .*gone\.pt"):
        chosen(models, str(tmp_path / "gone.pt"))


def test_a_device_that_is_not_there_is_refused(models: Path) -> None:
    with pytest.raises(TranscribeError, match=r"no device 'cuda:99' here. Available: auto"):
        load_transcriber(
            TranscriberConfig(model="base", device="cuda:99"), models, ProgressReporter()
        )


def test_what_is_missing_is_reported_with_the_command_that_brings_it(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = {choice.name: choice for choice in probe_transcribers(models)}
    assert ready["whisper"].is_available and ready["whisper"].models == ("base", "base.en")
    assert ready["auto"].is_available and ready["given"].is_available
    bare = {choice.name: choice for choice in probe_transcribers(tmp_path)}
    assert "allow the download" in bare["whisper"].unavailable_reason
    monkeypatch.setattr("training.asr.availability.find_spec", lambda name: None)
    bare = {choice.name: choice for choice in probe_transcribers(models)}
    assert "requirements-extra.txt" in bare["faster-whisper"].unavailable_reason
    with pytest.raises(TranscribeError, match="whisper cannot be used: the package is not inst"):
        chosen(models)


# fetching


class Shelf(BaseHTTPRequestHandler):
    """Serves one file, from any byte on; `breaks` cuts the first answer short."""

    content = b""
    breaks = False
    asked: list[str]

    def do_GET(self) -> None:
        kind = type(self)
        start = int((self.headers["Range"] or "bytes=0-").split("=")[1].rstrip("-"))
        kind.asked.append(self.path)
        body = kind.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind.breaks else body)
        kind.breaks = False

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def shelf(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Shelf]]:
    Shelf.content, Shelf.breaks, Shelf.asked = (models / "base.pt").read_bytes(), False, []
    digest = hashlib.sha256(Shelf.content).hexdigest()
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{digest}/base.pt"
        monkeypatch.setitem(fetch._MODELS, "base", url)
        yield Shelf
        server.shutdown()


def test_a_request_to_fetch_brings_the_model_once(tmp_path: Path, shelf: type[Shelf]) -> None:
    wish = TranscriberConfig(name="whisper", model="base", fetch=True)
    for _ in range(2):
        assert (
            load_transcriber(wish, tmp_path / "whisper", ProgressReporter()).name == "whisper base"
        )
    assert len(shelf.asked) == 1


def test_a_broken_fetch_goes_on_where_it_stopped(tmp_path: Path, shelf: type[Shelf]) -> None:
    shelf.breaks = True
    with pytest.raises(
        TranscribeError, match=r"base\.pt could not be downl.*the download continues"
    ):
        fetch.download_whisper_model("base", tmp_path, ProgressReporter())
    assert 0 < (tmp_path / "base.pt.part").stat().st_size < len(shelf.content)
    path = fetch.download_whisper_model("base", tmp_path, ProgressReporter())
    assert path.read_bytes() == shelf.content
    assert [one.name for one in tmp_path.iterdir()] == ["base.pt"]


def test_a_fetch_stops_when_asked_and_a_wrong_file_is_thrown_away(
    tmp_path: Path, shelf: type[Shelf]
) -> None:
    with pytest.raises(Cancelled):
        fetch.download_whisper_model("base", tmp_path, ProgressReporter(stopped=lambda: True))
    assert not (tmp_path / "base.pt").exists()
    shutil.rmtree(tmp_path)
    shelf.content = b"something else" * 1000
    with pytest.raises(TranscribeError, match=r"base\.pt was damaged in the download and removed"):
        fetch.download_whisper_model("base", tmp_path, ProgressReporter())
    assert not list(tmp_path.iterdir())
    with pytest.raises(TranscribeError, match="no published Whisper model 'huge'; there are turbo"):
        fetch.download_whisper_model("huge", tmp_path, ProgressReporter())


def test_the_command_that_refusals_name_brings_a_model(
    tmp_path: Path,
    shelf: type[Shelf],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    assert main(["models", "download", "whisper-base"]) == 0
    assert (tmp_path / "models/whisper/base.pt").read_bytes() == shelf.content
    assert "whisper-base is installed" in capsys.readouterr().out
    assert main(["models", "download", "whisper-huge"]) == 2
    assert "no published Whisper model 'huge'" in capsys.readouterr().err

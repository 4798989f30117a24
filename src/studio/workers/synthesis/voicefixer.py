"""Restore a clip with voicefixer, in a subprocess that is ended by a stop or a timeout."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from audio.clip import Clip, ClipError
from audio.io import read_clip, write_clip
from core.errors import AppError, UnrecoverableError
from core.files import atomic_path
from core.progress import ProgressEvent, ProgressReporter
from studio.diagnostics.voicefixer import (
    WEIGHTS,
    WeightFile,
    describe_voicefixer_problem,
    get_weights_folder,
)
from studio.schemas.speech import SpeechRequest

TIMEOUT_PER_AUDIO_SECOND, MIN_TIMEOUT_S = 120.0, 300.0  # of patience, per second of sound
DOWNLOAD_TIMEOUT_S, DOWNLOAD_BLOCK_BYTES = 30.0, 1 << 18
POLL_INTERVAL_S = 0.2  # between two looks whether it was stopped
SRC_DIR = Path(__file__).resolve().parents[3]


def run_voicefixer(
    clip: Clip, device: str, report: ProgressReporter, *, can_download: bool = False
) -> Clip:
    """Return the clip as voicefixer restores it, at 44.1 kHz.

    device: "cpu" or "cuda". Raises AppError where voicefixer is not installed or fails.
    """
    if reason := describe_voicefixer_problem(can_download=can_download):
        raise UnrecoverableError(f"voicefixer cannot be used. {reason}")
    for file in WEIGHTS:
        if not (get_weights_folder() / file.path).is_file():
            download_weights(file, report)
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.wav", Path(folder) / "out.wav"
        write_clip(source, clip)
        message = _run_child(source, target, device, clip.duration_s, report)
        try:
            return read_clip(target)
        except ClipError as cause:
            raise AppError(f"voicefixer did not clean the clip ({message or cause}).") from cause


def download_weights(file: WeightFile, report: ProgressReporter) -> None:
    """Download one file of weights and check its hash. Raises AppError where that fails."""
    target = get_weights_folder() / file.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as part:
            if _download(file.url, part, report) != file.md5:
                raise AppError(
                    f"{target.name} was damaged in the download and removed. Try again.",
                    code="download_broke",
                )
    except (OSError, HTTPException) as cause:
        raise AppError(
            f"{target.name} could not be downloaded from {file.url} ({cause}). Check the network "
            f"and try again, or put the file into {target.parent}.",
            code="hub_unreachable",
        ) from cause


def _download(url: str, target: Path, report: ProgressReporter) -> str:
    """Return the MD5 of what was written."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as answer, target.open("wb") as output:
        total = int(answer.headers.get("Content-Length") or 0) or None
        while block := answer.read(DOWNLOAD_BLOCK_BYTES):
            report.check_cancelled()
            output.write(block)
            digest.update(block)
            done += len(block)
            report.emit(ProgressEvent(kind="progress", stage="download", done=done, total=total))
    return digest.hexdigest()


def _run_child(
    source: Path, target: Path, device: str, duration_s: float, report: ProgressReporter
) -> str:
    """Run the process; return the last line of its standard error."""
    command = [
        sys.executable,
        "-m",
        f"{__package__}.voicefixer_process",
        *map(str, (source, target)),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SRC_DIR), *_get_inherited_python_path()]),
    }
    trace = source.with_name("trace.txt")
    with trace.open("wb") as errors, report.stage("voicefixer"):
        child = subprocess.Popen(
            [*command, device],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
        )
        try:
            _wait_for_child(
                child, max(MIN_TIMEOUT_S, duration_s * TIMEOUT_PER_AUDIO_SECOND), report
            )
        finally:
            child.kill()
            child.wait()
    lines = trace.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if child.returncode and lines else ""


def _wait_for_child(
    child: subprocess.Popen[bytes], longest_s: float, report: ProgressReporter
) -> None:
    """Wait for the end of the child; raise when it was stopped or takes too long."""
    last = time.monotonic() + longest_s
    while child.poll() is None:
        report.check_cancelled()
        if time.monotonic() > last:
            raise AppError("voicefixer timed out. Cut the clip.")
        time.sleep(POLL_INTERVAL_S)


def _get_inherited_python_path() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return [given] if given else []


def describe_skipped_voicefixer(request: SpeechRequest, *, can_download: bool) -> str:
    """Return the warning for a request whose Voice Fixer cannot be used; "" for any other."""
    if not request.voice_fixer:
        return ""
    reason = describe_voicefixer_problem(can_download=can_download)
    return f"Voice Fixer is on but was skipped. {reason}" if reason else ""


def restore_clip(
    clip: Clip, request: SpeechRequest, report: ProgressReporter, *, can_download: bool
) -> Clip:
    """Restore a whole clip where the request has Voice Fixer on and it can be used."""
    if not request.voice_fixer or describe_voicefixer_problem(can_download=can_download):
        return clip
    device = request.voice_fixer_device
    fixed = run_voicefixer(clip, device, report, can_download=can_download)
    return fixed.resample(clip.sample_rate)

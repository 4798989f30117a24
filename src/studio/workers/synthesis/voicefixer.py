"""Restore a clip with voicefixer, in a subprocess that is ended by a stop or a timeout."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from audio.clip import Clip, ClipError
from audio.io import read_clip, write_clip
from core.errors import AppError, UnrecoverableError
from core.progress import ProgressReporter
from studio.diagnostics.voicefixer import describe_voicefixer_problem
from studio.schemas.speech import SpeechRequest

TIMEOUT_PER_AUDIO_SECOND, MIN_TIMEOUT_S = 120.0, 300.0  # of patience, per second of sound
POLL_INTERVAL_S = 0.2  # between two looks whether it was stopped
SRC_DIR = Path(__file__).resolve().parents[3]


def run_voicefixer(clip: Clip, device: str, report: ProgressReporter) -> Clip:
    """Return the clip as voicefixer restores it, at 44.1 kHz.

    device: "cpu" or "cuda".  Raises Unusable where voicefixer is not there, StudioError where it
    fails.
    """
    if reason := describe_voicefixer_problem():
        raise UnrecoverableError(f"voicefixer cannot be used. {reason}")
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.wav", Path(folder) / "out.wav"
        write_clip(source, clip)
        told = _run_child(source, target, device, clip.duration_s, report)
        try:
            return read_clip(target)
        except ClipError as cause:
            raise AppError(f"voicefixer did not clean the clip ({told or cause}).") from cause


def _run_child(
    source: Path, target: Path, device: str, duration_s: float, report: ProgressReporter
) -> str:
    """Run the child; return the last line that it said on standard error."""
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
            raise AppError("voicefixer took too long and was stopped. Cut the clip.")
        time.sleep(POLL_INTERVAL_S)


def _get_inherited_python_path() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return [given] if given else []


def describe_skipped_voicefixer(request: SpeechRequest) -> str:
    """Return the warning for a request whose Voice Fixer cannot be used; "" for any other."""
    if not request.voice_fixer or not (reason := describe_voicefixer_problem()):
        return ""
    return f"Voice Fixer is on but was left out. {reason}"


def restore_clip(clip: Clip, request: SpeechRequest, report: ProgressReporter) -> Clip:
    """Restore a whole clip where the request has Voice Fixer on and it can be used."""
    if not request.voice_fixer or describe_skipped_voicefixer(request):
        return clip
    fixed = run_voicefixer(clip, request.voice_fixer_device, report)
    return fixed.resample(clip.sample_rate)

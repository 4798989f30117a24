"""Cleaning a clip with voicefixer, whose process is ended when it takes too long or is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
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


def make_postprocessor(request: SpeechRequest, report: ProgressReporter) -> Callable[[Clip], Clip]:
    """Return what is done to each whole clip: nothing, unless Voice Fixer is on and is there.

    Where it is not there a warning says so, once, and the clip stays as it was spoken.
    """
    if not request.voice_fixer:
        return _return_unchanged
    if reason := describe_voicefixer_problem():
        report.warn(f"Voice Fixer is on but was left out. {reason}")
        return _return_unchanged
    return lambda clip: run_voicefixer(clip, request.voice_fixer_device, report).resample(
        clip.sample_rate
    )


def _return_unchanged(clip: Clip) -> Clip:
    return clip

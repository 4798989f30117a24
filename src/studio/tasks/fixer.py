"""Cleaning a clip with voicefixer, whose process is ended when it takes too long or is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.report import Reporter
from speech.clip import Clip, ClipError
from speech.files import read_clip, write_clip
from studio.errors import StudioError, Unusable
from studio.fixer import why_not

SECONDS_PER_SECOND, LEAST_S = 120.0, 300.0  # of patience, per second of sound
LOOK_S = 0.2  # between two looks whether it was stopped
SRC = Path(__file__).resolve().parents[2]


def fix(clip: Clip, device: str, report: Reporter) -> Clip:
    """Return the clip as voicefixer restores it, at 44.1 kHz.

    device: "cpu" or "cuda".  Raises Unusable where voicefixer is not there, StudioError where it
    fails.
    """
    if reason := why_not():
        raise Unusable(f"voicefixer cannot be used. {reason}")
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.wav", Path(folder) / "out.wav"
        write_clip(source, clip)
        told = _run(source, target, device, clip.duration_s, report)
        try:
            return read_clip(target)
        except ClipError as cause:
            raise StudioError(f"voicefixer did not clean the clip ({told or cause}).") from cause


def _run(source: Path, target: Path, device: str, duration_s: float, report: Reporter) -> str:
    """Run the child; return the last line that it said on standard error."""
    command = [sys.executable, "-m", f"{__package__}.fixer_child", *map(str, (source, target))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SRC), *_extra_paths()])}
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
            _wait(child, max(LEAST_S, duration_s * SECONDS_PER_SECOND), report)
        finally:
            child.kill()
            child.wait()
    lines = trace.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if child.returncode and lines else ""


def _wait(child: subprocess.Popen[bytes], longest_s: float, report: Reporter) -> None:
    """Wait for the end of the child; raise when it was stopped or takes too long."""
    last = time.monotonic() + longest_s
    while child.poll() is None:
        report.check()
        if time.monotonic() > last:
            raise StudioError("voicefixer took too long and was stopped. Cut the clip.")
        time.sleep(LOOK_S)


def _extra_paths() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return [given] if given else []

"""Every call of the ffmpeg program: built by ffmpeg-python, run without a shell."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ffmpeg

INPUT_FORMATS = (  # audio and video containers only: a playlist could name other files
    "aac,aiff,amr,ape,asf,avi,caf,flac,flv,matroska,webm,mov,mp4,m4a,mp3,mpeg,mpegts,ogg,wav,wv"
)
SAFE_OPTIONS = ("-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe")
POLL_S = 0.2
MAX_ERROR_BYTES = 10_000
AAC_TIMEOUT_S = 120.0
TEMPO_TIMEOUT_S = 120.0
VERSION_TIMEOUT_S = 10.0
PLAY_TIMEOUT_S = 3_600.0


class FfmpegError(RuntimeError):
    """ffmpeg failed; the message is its first complaint."""


def find_ffmpeg() -> str | None:
    """Return the path of the ffmpeg program, None where it is not installed."""
    return shutil.which("ffmpeg")


def play_file(path: Path) -> bool:
    """Play an audio file to its end; return False where ffplay or a sound device is missing."""
    program = shutil.which("ffplay")
    if program is None:
        return False
    command = [program, "-nodisp", "-autoexit", "-loglevel", "error"]
    command += ["-protocol_whitelist", "file", str(path.absolute())]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PLAY_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def start_player(format: str) -> subprocess.Popen[bytes]:
    """Start a player of what is written to its standard input; raises OSError without ffplay."""
    program = shutil.which("ffplay")
    if program is None:
        raise FileNotFoundError("ffplay is not installed")
    command = [program, "-nodisp", "-autoexit", "-loglevel", "error"]
    command += ["-protocol_whitelist", "pipe", "-f", format, "-i", "pipe:0"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def read_ffmpeg_version() -> str:
    """Return the version of the installed ffmpeg, "" where there is none."""
    program = find_ffmpeg()
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.decode("utf-8", "replace").split()
    return words[2] if len(words) > 2 else "of unknown version"


def convert_to_wav(
    path: Path,
    *,
    max_duration_s: float,
    timeout_s: float,
    target: Path,
    max_bytes: int,
    poll: Callable[[], None] = lambda: None,
) -> None:
    """Decode the first audio stream of a file, at most `max_duration_s` plus one second of it.

    target: the .w64 file to write, of about `max_bytes` at most. poll: called while ffmpeg runs; an
    exception from it ends ffmpeg. Raises FileNotFoundError without ffmpeg, TimeoutError, and
    FfmpegError where it cannot decode the file.
    """
    source = ffmpeg.input(f"file:{path.resolve()}", format_whitelist=INPUT_FORMATS)
    stream = source["a:0"].output(
        f"file:{target.resolve()}",
        format="w64",
        acodec="pcm_s16le",
        t=f"{max_duration_s + 1:g}",
        fs=max_bytes,
    )
    _run(stream.overwrite_output(), timeout_s=timeout_s, poll=poll)


def encode_aac(samples: bytes, sample_rate: int) -> bytes:
    """Encode 16-bit little-endian mono samples as AAC frames; raises what `convert_to_wav` does."""
    source = ffmpeg.input("pipe:0", format="s16le", ar=sample_rate, ac=1)
    stream = source.output("pipe:1", format="adts", acodec="aac")
    return _run(stream, timeout_s=AAC_TIMEOUT_S, data=samples)


def change_tempo(samples: bytes, sample_rate: int, speed: float) -> bytes:
    """Play 32-bit float mono samples faster or slower with the same pitch (filter atempo).

    speed: 0.5 to 2. Raises what `convert_to_wav` does.
    """
    source = ffmpeg.input("pipe:0", format="f32le", ar=sample_rate, ac=1)
    stream = source.filter("atempo", speed).output("pipe:1", format="f32le")
    return _run(stream, timeout_s=TEMPO_TIMEOUT_S, data=samples)


def _run(
    stream: Any,  # Any: ffmpeg-python has no types
    *,
    timeout_s: float,
    data: bytes | None = None,
    poll: Callable[[], None] = lambda: None,
) -> bytes:
    program = find_ffmpeg()
    if program is None:
        raise FileNotFoundError("ffmpeg is not installed")
    command = ffmpeg.compile(stream, cmd=[program, *SAFE_OPTIONS])
    with (
        tempfile.TemporaryFile() as errors,
        tempfile.TemporaryFile() as source,  # Popen.communicate writes no pipe after a timeout
    ):
        source.write(data or b"")
        source.seek(0)
        with subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=errors
        ) as process:
            try:
                output = _communicate(process, timeout_s, poll)
            finally:
                process.kill()
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read(MAX_ERROR_BYTES).decode("utf-8", "replace").strip().splitlines()
            raise FfmpegError(lines[0].split("] ")[-1] if lines else "no audio in it")
        return output


def _communicate(
    process: subprocess.Popen[bytes], timeout_s: float, poll: Callable[[], None]
) -> bytes:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return process.communicate(timeout=POLL_S)[0]
        except subprocess.TimeoutExpired:
            poll()
        if time.monotonic() > deadline:
            raise TimeoutError

"""The audio of a clip while it is synthesized: to a player, or to standard output."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Thread
from typing import IO

from audio.ffmpeg import start_player
from core.errors import AppError
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from studio.schemas.speech import OutputOptions
from studio.synthesis.stream_mixer import StreamMixer

Listener = Callable[[ProgressEvent], None]
PLAYER_FORMAT = "wav"


class LineStream:
    """Encodes each line as soon as it is spoken, and writes it in a thread of its own.

    So a reader that takes its time, such as a player, does not hold up the synthesis. error: of
    the reader, None as long as it reads.
    """

    def __init__(self, format: str, delivery: OutputOptions, sink: IO[bytes]) -> None:
        self.error: OSError | None = None
        self._mixer = StreamMixer(
            format,
            pause_s=delivery.pause_s,
            fade_ms=delivery.fade_ms,
            volume=delivery.volume,
        )
        self._sink = sink
        self._parts: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = Thread(target=self._write, name="audio", daemon=True)
        self._thread.start()

    def add(self, event: ProgressEvent) -> None:
        """Write the line of a "take" event; ignore other events."""
        if event.kind == "take" and self.error is None:
            self._parts.put(self._mixer.add_take(event.data))

    def end(self) -> None:
        """Write the rest, and wait until the reader has it."""
        self._parts.put(self._mixer.end())
        self._parts.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            while (part := self._parts.get()) is not None:
                self._sink.write(part)
                self._sink.flush()
        except OSError as error:
            self.error = error


@contextmanager
def stream_to_stdout(format: str, delivery: OutputOptions) -> Iterator[Listener]:
    """Yield what takes the events of a synthesis; the lines go to standard output.

    Raises AppError for a terminal, and BrokenPipeError once nobody reads.
    """
    if sys.stdout.isatty():
        raise AppError(
            "Standard output is a terminal. Send the audio to a file or a program, as in "
            "testudo speak TEXT --stream wav | ffplay -i -"
        )
    stream = LineStream(format, delivery, sys.stdout.buffer)

    def listen(event: ProgressEvent) -> None:
        if stream.error is not None:
            raise Cancelled
        stream.add(event)

    try:
        yield listen
        stream.end()
    finally:
        if stream.error is not None:
            raise stream.error


@contextmanager
def play_lines(delivery: OutputOptions, report: ProgressReporter) -> Iterator[Listener]:
    """Yield what takes the events of a synthesis; the lines are played, and waited for at the end.

    Raises AppError without a player. One that ends early is noted, and the synthesis goes on.
    """
    try:
        player = start_player(PLAYER_FORMAT)
    except OSError as cause:
        raise AppError(
            "Playing needs the program ffplay, which comes with ffmpeg. Install it, or leave out "
            "--play."
        ) from cause
    assert player.stdin is not None
    try:
        stream = LineStream(PLAYER_FORMAT, delivery, player.stdin)
        yield stream.add
        stream.end()
        _close(player)
        if player.wait() != 0 or stream.error is not None:
            report.note("It was not played to its end: the player was closed, or has no device.")
    finally:
        player.kill()
        _close(player)


def _close(player: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # it may have ended before
        if player.stdin is not None:
            player.stdin.close()

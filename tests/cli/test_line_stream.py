"""testudo speak --stream and --play: each line is heard as soon as it is spoken."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from cli import line_stream
from cli.main import main
from core.paths import ProjectPaths
from support.fake_engine import FakeEngine

TEXT = "One two three.\nFour five six.\nSeven eight nine."
SPEAK = ("speak", TEXT, "--voice", "alice", "--delimiter", "\\n", "--pause-s", "0.5")
PATIENCE_S = 20.0


class Reader(io.BytesIO):
    """Keeps what is written, part by part."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self.has_more = threading.Condition()

    def write(self, data: Any) -> int:
        with self.has_more:
            if data:
                self.parts.append(bytes(data))
            self.has_more.notify_all()
        return super().write(data)

    def wait_for(self, parts: int) -> bool:
        with self.has_more:
            return self.has_more.wait_for(lambda: len(self.parts) >= parts, PATIENCE_S)

    def close(self) -> None:
        """Stay readable."""


class BrokenReader(Reader):
    """Nobody reads, from the second part on."""

    def write(self, data: Any) -> int:
        if self.parts:
            raise BrokenPipeError
        return super().write(data)


class Player:
    """A player that keeps what it is given."""

    def __init__(self, reader: Reader, code: int = 0) -> None:
        self.stdin, self._code, self.killed = reader, code, 0

    def wait(self) -> int:
        return self._code

    def kill(self) -> None:
        self.killed += 1


def stream_to(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make standard output one that is read by a program."""
    output = io.TextIOWrapper(reader, encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", output)


def let_each_line_wait_for_the_one_before(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine speak a line once the reader has had the line before."""
    synthesize = FakeEngine.synthesize

    def wait(self: FakeEngine, *arguments: Any) -> Any:
        assert reader.wait_for(len(FakeEngine.heard)), "the line before was not sent"
        return synthesize(self, *arguments)

    monkeypatch.setattr(FakeEngine, "synthesize", wait)


def sound_of(data: bytes) -> tuple[float, int]:
    samples, rate = soundfile.read(io.BytesIO(data))
    return len(samples) / rate, rate


def test_each_line_is_sent_before_the_next_one_is_spoken(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = Reader()
    stream_to(reader, monkeypatch)
    let_each_line_wait_for_the_one_before(reader, monkeypatch)
    assert main([*SPEAK, "--stream", "wav"]) == 0
    assert len(FakeEngine.heard) == 3 and len(reader.parts) == 3
    seconds, rate = sound_of(reader.getvalue())
    assert rate == 24_000 and seconds == pytest.approx(3 * 3 * 0.2 + 2 * 0.5, abs=0.05)
    told = capsys.readouterr().err
    (clip,) = layout.results.glob("alice/*.wav")
    assert str(clip) in told and "seed" in told
    assert sound_of(clip.read_bytes())[0] == pytest.approx(seconds, abs=0.02)


@pytest.mark.parametrize(("format", "head"), [("flac", b"fLaC"), ("opus", b"OggS"), ("mp3", b"")])
def test_other_formats_are_whole_streams(
    format: str, head: bytes, layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader()
    stream_to(reader, monkeypatch)
    assert main([*SPEAK, "--stream", format]) == 0
    assert reader.getvalue().startswith(head) and len(reader.getvalue()) > 1_000


def test_a_clip_of_one_line_is_sent_too(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader()
    stream_to(reader, monkeypatch)
    assert main(["speak", "Good evening.", "--voice", "alice", "--stream", "pcm"]) == 0
    assert len(reader.getvalue()) == 0.4 * 24_000 * 2


def test_a_reader_that_leaves_ends_the_synthesis_quietly(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reader = BrokenReader()
    stream_to(reader, monkeypatch)
    with (tmp_path / "output").open("wb") as file:
        monkeypatch.setattr(reader, "fileno", lambda: os.dup(file.fileno()))
        assert main([*SPEAK, "--stream", "wav"]) == 0
    assert list(layout.results.glob("alice/*.wav")) == []


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--stream", "exe"), "Choose one of: wav, mp3"),
        (("--stream", "wav", "--json"), "cannot be combined with --json"),
        (("--stream", "wav", "--lines", "a.csv"), "cannot be combined with --lines"),
        (("--stream", "opus", "--output-rate", "44100"), "opus"),
    ],
)
def test_what_cannot_be_streamed_is_refused_before_anything_is_spoken(
    testudo: Callable[..., tuple[int, str, str]], flags: tuple[str, ...], told: str
) -> None:
    code, out, err = testudo("speak", "Hello.", "--voice", "alice", *flags)
    assert (code, out) == (2, "") and told in err
    assert FakeEngine.heard == []


def test_a_terminal_is_not_filled_with_audio(
    testudo: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = testudo("speak", "Hello.", "--voice", "alice", "--stream", "wav")
    assert (code, out) == (2, "") and "is a terminal" in err
    assert FakeEngine.heard == []


def test_each_line_is_played_before_the_next_one_is_spoken(
    testudo: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    player = Player(Reader())
    monkeypatch.setattr(line_stream, "start_player", lambda format: player)
    let_each_line_wait_for_the_one_before(player.stdin, monkeypatch)
    code, out, err = testudo(*SPEAK, "--play")
    assert (code, err) == (0, "") and ".wav" in out
    assert len(player.stdin.parts) == 3 and player.killed
    assert sound_of(player.stdin.getvalue())[0] == pytest.approx(2.8, abs=0.05)


@pytest.mark.parametrize(("reader", "code"), [(BrokenReader(), 0), (Reader(), 1)])
def test_a_player_that_is_closed_costs_no_clip(
    reader: Reader,
    code: int,
    testudo: Callable[..., tuple[int, str, str]],
    layout: ProjectPaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line_stream, "start_player", lambda format: Player(reader, code))
    ended, _, err = testudo(*SPEAK, "--play")
    assert ended == 0 and "It was not played to its end" in err
    assert len(list(layout.results.glob("alice/*.wav"))) == 1


def test_without_a_player_nothing_is_spoken(
    testudo: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    code, _, err = testudo("speak", "Hello.", "--voice", "alice", "--play")
    assert code == 2 and "ffplay" in err
    assert FakeEngine.heard == []

"""Subtitles become a script whose clip has each cue at its time."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.subtitles.script import LINE_DELIMITER, read_subtitle_script
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.workers.context import WorkerContext
from support.fake_engine import RATE

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
CUES = """1
00:00:01,250 --> 00:00:02,000
One two three
four.

2
00:00:02,000 --> 00:00:03,500
Five six, seven. Eight.

3
00:01:10,000 --> 00:01:11,000
Nine ten.
"""
NAMED = """WEBVTT

00:00.000 --> 00:01.000
<v Alice>Hello there.</v>

00:00.500 --> 00:02.000
<v Bob>How are you?</v>

00:00.500 --> 00:00.520
Too short.
"""


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


def write(folder: Path, text: str, name: str = "film.srt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@needs_ffmpeg
def test_each_cue_is_spoken_in_its_time(workshop: WorkerContext, tmp_path: Path) -> None:
    script = read_subtitle_script(write(tmp_path, CUES), [])
    assert script.notes == ()
    wish = SpeechRequestInput(
        text=script.text, voice="alice", options={"seed": 7}, delivery={"delimiter": LINE_DELIMITER}
    )
    request = build_request(Settings(), wish, workshop.layout)
    spoken = workshop.synthesizer.speak(request, ProgressReporter())
    assert spoken.heard == "One two three four. Five six, seven. Eight. Nine ten."
    wave = read_clip(Path(spoken.path)).wave.numpy()
    assert len(wave) == 71 * RATE
    loud = np.abs(wave) > 0.01
    assert not loud[: round(1.24 * RATE)].any() and loud[round(1.25 * RATE) :][: RATE // 10].any()
    assert not loud[round(3.51 * RATE) : round(69.99 * RATE)].any()
    assert loud[70 * RATE :][: RATE // 10].any()


def test_names_choose_voices_and_overlapping_cues_share_the_time(tmp_path: Path) -> None:
    script = read_subtitle_script(write(tmp_path, NAMED, "film.vtt"), ["alice"])
    assert script.text.split("\n") == [
        "[pause:0.000s]",
        '[duration:0.5s] {"voice": "alice"} Hello there.',
        "[pause:0.000s]",
        "[duration:1.5s] How are you?",
    ]
    assert script.notes == (
        "The cue at 0.5 s has no time of its own; it is left out.",
        "There is no voice 'Bob'; its cues have the voice of the clip.",
    )


def test_what_is_no_subtitle_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"ends in \.srt or \.vtt"):
        read_subtitle_script(write(tmp_path, CUES, "film.txt"), [])
    with pytest.raises(AppError, match=r"empty\.srt has no cue"):
        read_subtitle_script(write(tmp_path, "", "empty.srt"), [])
    with pytest.raises(AppError, match=r"gone\.srt"):
        read_subtitle_script(tmp_path / "gone.srt", [])

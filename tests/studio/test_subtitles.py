"""Subtitles of a clip, from the times of its lines."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.history.service import History
from studio.schemas.settings import Settings
from studio.schemas.take_metadata import TakeMetadata
from studio.subtitles.cues import Cue, format_subtitles, list_cues
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.workers.context import WorkerContext, synthesize_speech_task

RECORD = TakeMetadata(
    text="Good evening.", voice="alice", engine="tortoise", bundle="starter", weights_id="0" * 16,
    seed=1, options={}, delivery={}, duration_s=4.0,
)  # fmt: skip


def test_cues_have_the_times_of_the_lines(layout: ProjectPaths) -> None:
    settings = Settings()
    asked = SpeechRequestInput(
        text="One line.\nTwo lines.\nThree.",
        voice="alice",
        delivery={"pause_s": 0.5, "delimiter": "\\n"},
    )
    request = build_request(settings, asked, layout)
    result = synthesize_speech_task(WorkerContext(layout, settings), request, ProgressReporter())
    clip = Path(result.path)
    lines = read_line_takes(OutputPath(clip_path=clip))
    assert lines is not None
    ref = clip.relative_to(layout.results).as_posix()
    cues = list_cues(layout, ref, None)
    assert [cue.text for cue in cues] == ["One line.", "Two lines.", "Three."]
    for cue, take in zip(cues, lines.chosen_takes(), strict=True):
        assert cue.end - cue.start == pytest.approx(take.seconds)
    for cue, later in pairwise(cues):
        assert later.start - cue.end == pytest.approx(0.5, abs=1e-6)
    assert cues[-1].end == pytest.approx(read_clip(clip).duration_s, abs=0.01)
    history = History.open(layout)
    history.scan(ProgressReporter())
    assert history.list_cues(ref) == cues


def test_a_clip_without_lines_has_one_text_over_its_length(layout: ProjectPaths) -> None:
    assert list_cues(layout, "alice/x.wav", RECORD) == [
        Cue(start=0.0, end=4.0, text="Good evening.")
    ]
    for record in (None, replace(RECORD, text=" "), replace(RECORD, duration_s=0.0)):
        with pytest.raises(AppError, match="has no subtitles"):
            list_cues(layout, "alice/x.wav", record)


def test_a_long_text_is_cut_into_cues_of_two_short_rows(layout: ProjectPaths) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    cues = list_cues(layout, "alice/x.wav", replace(RECORD, text=text, duration_s=30.0))
    rows = [row for cue in cues for row in cue.text.split("\n")]
    assert " ".join(rows) == text and max(map(len, rows)) <= 42
    assert max(len(cue.text.split("\n")) for cue in cues) == 2
    assert cues[0].start == 0.0 and cues[-1].end == pytest.approx(30.0)
    for cue, later in pairwise(cues):
        assert cue.end == later.start > cue.start


def test_both_formats_are_written_as_players_read_them() -> None:
    cues = [
        Cue(start=0.0, end=1.2345, text="One\n--> two"),
        Cue(start=3_725.5, end=3_726.0, text="Three"),
    ]
    assert format_subtitles(cues, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,234\nOne\n→ two\n\n2\n01:02:05,500 --> 01:02:06,000\nThree\n"
    )
    vtt = format_subtitles(cues, "vtt")
    assert vtt.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.234\n")
    with pytest.raises(AppError, match="srt or vtt"):
        format_subtitles(cues, "ass")

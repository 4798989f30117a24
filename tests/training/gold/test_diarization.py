"""Windows of several speakers are told apart, and named by the transcript."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidValueError
from core.progress import ProgressReporter
from training.gold.agreement import (
    HeardWord,
    check_turns,
    compare_order,
    estimate_spans,
    name_speakers,
)
from training.gold.diarization.clustering import Window, diarize_windows, embed_windows
from training.gold.diary import Turn, read_diary, rename_speakers, write_diary
from training.gold.project_files import DiarizationOptions, Method
from training.gold.transcripts import TranscriptTurn

TURNS = [("Ann", 0.0, 6.0), ("Bob", 6.5, 13.0), ("Ann", 13.4, 16.0), ("Cy", 16.2, 24.0)]
SPEECH = [(start, stop) for _, start, stop in TURNS]


def make_windows(noise: float = 0.05, seed: int = 0) -> list[Window]:
    random = np.random.default_rng(seed)
    voices = {name: _unit(random.normal(size=32)) for name in ("Ann", "Bob", "Cy")}
    windows = []
    for span, (name, start, stop) in enumerate(TURNS):
        for at in np.arange(start, stop - 0.5, 0.4):
            vector = _unit(voices[name] + noise * random.normal(size=32))
            windows.append(Window(float(at), float(min(at + 1.6, stop)), span, vector))
    return windows


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


@pytest.mark.parametrize("method", ["agglomerative", "spectral"])
@pytest.mark.parametrize("speakers", [None, 3])
def test_speakers_are_told_apart(method: Method, speakers: int | None) -> None:
    options = DiarizationOptions(speakers=speakers, method=method)
    found = diarize_windows(make_windows(), SPEECH, options)
    assert [turn.speaker for turn in found.turns] == [
        "speaker 1", "speaker 2", "speaker 1", "speaker 3"
    ]  # fmt: skip
    for turn, (_, start, stop) in zip(found.turns, TURNS, strict=True):
        assert (turn.start, turn.stop) == (start, stop)
    assert found.centroids.shape == (3, 32)


def test_one_speaker_stays_one() -> None:
    random = np.random.default_rng(1)
    voice = _unit(random.normal(size=32))
    windows = [
        Window(at, at + 1.6, 0, _unit(voice + 0.05 * random.normal(size=32)))
        for at in np.arange(0.0, 20.0, 0.4).tolist()
    ]
    found = diarize_windows(windows, [(0.0, 21.6)], DiarizationOptions())
    assert [turn.speaker for turn in found.turns] == ["speaker 1"]


def test_a_change_inside_speech_is_found_and_silence_gives_nothing() -> None:
    windows = make_windows()
    joined = [Window(w.start, w.stop, 0, w.embedding) for w in windows if w.span < 2]
    found = diarize_windows(joined, [(0.0, 13.0)], DiarizationOptions(speakers=2))
    assert len(found.turns) == 2
    assert found.turns[0].stop == pytest.approx(6.3, abs=0.8)
    assert diarize_windows([], [], DiarizationOptions()).turns == ()


def test_windows_cover_the_speech() -> None:
    asked: list[tuple[float, float]] = []

    def wave(start: float, stop: float) -> np.ndarray:
        asked.append((start, stop))
        return np.zeros(1)

    windows = embed_windows(
        wave,
        [(0.0, 0.9), (2.0, 6.0)],
        lambda samples: np.ones(2),
        DiarizationOptions(),
        ProgressReporter(),
    )
    assert asked[0] == (0.0, 0.9) and asked[1][0] == 2.0
    assert max(stop for _, stop in asked) == 6.0
    assert [window.span for window in windows][:2] == [0, 1]


TRANSCRIPT = [
    TranscriptTurn(speaker="Ann", text="one two three"),
    TranscriptTurn(speaker="Bob", text="four five six"),
    TranscriptTurn(speaker="Ann", text="seven"),
    TranscriptTurn(speaker="Cy", text="eight nine ten"),
]


def heard_words() -> list[HeardWord]:
    words, placed = [], 0
    for turn, (_, start, stop) in zip(TRANSCRIPT, TURNS, strict=True):
        spoken = turn.text.upper().split()
        step = (stop - start) / len(spoken)
        for number, word in enumerate(spoken):
            begin = start + number * step
            words.append(HeardWord(text=word, start=begin, stop=begin + step))
        placed += len(spoken)
    return words


def test_diary_speakers_get_the_names_of_the_transcript() -> None:
    diary = diarize_windows(make_windows(), SPEECH, DiarizationOptions(speakers=3)).turns
    spans = [(name, start, stop) for name, start, stop in TURNS]
    names = name_speakers(diary, spans)
    assert names == {"speaker 1": "Ann", "speaker 2": "Bob", "speaker 3": "Cy"}
    named = rename_speakers(diary, names)
    assert compare_order(TRANSCRIPT, named) == []
    assert all(check.status == "agrees" for check in check_turns(TRANSCRIPT, heard_words(), named))


def test_wrong_names_and_wrong_words_are_flagged() -> None:
    diary = [Turn(start=start, stop=stop, speaker=name) for name, start, stop in TURNS]
    wrong = [*TRANSCRIPT]
    wrong[1] = TranscriptTurn(speaker="Cy", text="four five six")
    wrong[3] = TranscriptTurn(speaker="Cy", text="eight eleven ten")
    checks = check_turns(wrong, heard_words(), diary)
    assert checks[1].status == "other speaker"
    assert checks[1].diary_speaker == "Bob"
    assert checks[3].differences == (("ELEVEN", "NINE"),)
    assert "turn 2: the transcript has Cy, the diary Bob" in compare_order(wrong, diary)[0]
    missing = check_turns([TranscriptTurn(speaker="Ann", text="unheard words")], [], diary)
    assert missing[0].status == "not heard" and missing[0].start is None


def test_turns_are_placed_by_their_share_of_the_words() -> None:
    diary = [Turn(start=0, stop=6, speaker="a"), Turn(start=10, stop=14, speaker="b")]
    turns = [
        TranscriptTurn(speaker="Ann", text="a b c d e f"),
        TranscriptTurn(speaker="Bob", text="g h i j"),
    ]
    assert estimate_spans(turns, diary) == [("Ann", 0.0, 6.0), ("Bob", 6.0, 14.0)]


@pytest.mark.parametrize("start", ["1.2.3", "9.0", "-1"])
def test_a_turn_with_wrong_times_is_named_with_its_line(tmp_path: Path, start: str) -> None:
    path = tmp_path / "2-diary.csv"
    path.write_text(f"start: 0.0, stop: 1.2, speaker: Ann\nstart: {start}, stop: 2, speaker: Bo\n")
    with pytest.raises(InvalidValueError, match=r"2-diary\.csv, line 2"):
        read_diary(path)


def test_very_short_times_are_read_as_they_were_written(tmp_path: Path) -> None:
    turns = [Turn(start=0.00001, stop=1.5, speaker="Ann")]
    write_diary(tmp_path / "2-diary.csv", turns)
    assert read_diary(tmp_path / "2-diary.csv") == turns

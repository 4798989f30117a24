"""The steps run in order, are resumed, and run again after a person has edited a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.clip import Clip
from core.errors import InvalidValueError
from core.progress import ProgressReporter
from training.gold.agreement import HeardWord
from training.gold.cleaning import clean_transcript
from training.gold.export import LAYOUTS, export_utterances
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    STEPS,
    TRANSCRIPT_FILE,
    UTTERANCES_FILE,
    CheckRow,
    GoldProject,
    create_project,
    read_project,
    read_rows,
)
from training.gold.row_conversion import (
    read_utterances,
)
from training.gold.utterances import AlignedPart
from training.gold.workflow import UNSURE_EDGE_S, GoldTools, list_other_speech, run_steps

RATE = 16_000
PITCH = {"Ann": 1, "Bob": 2}
TEXTS = [
    ("Ann", "One two three four five six seven eight nine ten."),
    ("Bob", "Some people said that it cost £5, others did not."),
    ("Ann", "Yes it certainly was very cheap at the time, I believe."),
]
WORD_S = 0.4
SPOKEN = [
    ("Ann", "ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN"),
    ("Bob", "SOME PEOPLE SAID THAT IT COST FIVE POUNDS OTHERS DID NOT"),
    ("Ann", "YES IT CERTAINLY WAS VERY CHEAP AT THE TIME I BELIEVE"),
]


def timeline() -> list[tuple[str, str, float, float]]:
    rows, time = [], 0.5
    for speaker, text in SPOKEN:
        for word in text.split():
            rows.append((speaker, word, time, time + WORD_S))
            time += WORD_S
        time += 0.6
    return rows


def make_tools(calls: list[str] | None = None) -> GoldTools:
    rows = timeline()
    calls = [] if calls is None else calls
    wave = np.zeros(int((rows[-1][3] + 1) * RATE), dtype=np.float32)
    for speaker, _, start, stop in rows:
        wave[int(start * RATE) : int(stop * RATE)] = PITCH[speaker]

    def cut(start: float, stop: float) -> Clip:
        part = torch.from_numpy(wave[int(start * RATE) : int(stop * RATE)] / 4)
        return Clip(wave=part, sample_rate=RATE)

    def embed(samples: np.ndarray) -> np.ndarray:
        share = [float(np.isclose(samples * 4, pitch).sum()) for pitch in (1, 2)]
        vector = np.array([*share, 1.0])
        return np.asarray(vector / np.linalg.norm(vector))

    def align(start: float, stop: float, words: Sequence[str]) -> list[tuple[float, float]] | None:
        calls.append("align")
        near = [(a, b) for _, _, a, b in rows if start <= a and b <= stop]
        return near[: len(words)] if len(near) >= len(words) else None

    def recognize(report: ProgressReporter) -> list[HeardWord]:
        calls.append("recognize")
        return [HeardWord(text=word, start=a, stop=b) for _, word, a, b in rows]

    spans: list[tuple[float, float]] = []
    for speaker, text in SPOKEN:
        members = [row for row in rows if row[0] == speaker and row[1] in text.split()]
        inside = [row for row in members if not spans or row[2] > spans[-1][1]]
        count = len(text.split())
        spans.append((inside[0][2], inside[count - 1][3]))
    return GoldTools(
        cut=cut,
        duration_s=len(wave) / RATE,
        speech=lambda report: spans,
        embed=embed,
        recognize=recognize,
        align=align,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recording, transcript = tmp_path / "talk.wav", tmp_path / "talk.txt"
    recording.write_bytes(b"sound")
    transcript.write_text("\n".join(f"{who}: {text}" for who, text in TEXTS), "utf-8")
    folder = tmp_path / "project"
    create_project(folder, GoldProject(recording=str(recording), transcript=str(transcript)))
    return folder


def test_the_steps_make_utterances_of_one_speaker_each(folder: Path) -> None:
    assert run_steps(folder, make_tools(), ProgressReporter()) == list(STEPS)
    checks = read_rows(folder / CHECK_FILE, CheckRow)
    assert [(check.speaker, check.status) for check in checks] == [
        (who, "agrees") for who, _ in TEXTS
    ]
    utterances = read_utterances(folder)
    assert all(not one.problems for one in utterances)
    assert "".join(one.text for one in utterances if one.speaker == "Bob").count("£5,") == 1
    rows = timeline()
    for one in utterances:
        inside = {who for who, _, a, b in rows if a >= one.start and b <= one.stop}
        assert inside == {one.speaker}
        assert 1.6 <= one.duration <= 11.0


def test_a_step_is_not_run_twice_and_edited_files_are_kept(folder: Path) -> None:
    calls: list[str] = []
    tools = make_tools(calls)
    run_steps(folder, tools, ProgressReporter())
    assert run_steps(folder, tools, ProgressReporter()) == []
    diary = folder / DIARY_FILE
    diary.write_text(diary.read_text("utf-8").replace("Bob", "Robert"), "utf-8")
    assert run_steps(folder, tools, ProgressReporter()) == ["check", "align", "split"]
    assert calls.count("recognize") == 1
    checks = read_rows(folder / CHECK_FILE, CheckRow)
    assert checks[1].status == "other speaker" and checks[1].diary_speaker == "Robert"
    assert {one.speaker for one in read_utterances(folder)} == {"Ann"}


def test_another_speaker_keeps_the_edited_files(folder: Path) -> None:
    calls: list[str] = []
    tools = make_tools(calls)
    run_steps(folder, tools, ProgressReporter())
    path = folder / TRANSCRIPT_FILE
    path.write_text(path.read_text("utf-8").replace("some people", "Some people"), "utf-8")
    edited = path.read_text("utf-8")
    run_steps(folder, tools, ProgressReporter())
    create_project(folder, replace(read_project(folder), speaker="Bob"))
    assert run_steps(folder, tools, ProgressReporter()) == ["split"]
    assert path.read_text("utf-8") == edited
    assert {one.speaker for one in read_utterances(folder)} == {"Bob"}


def test_a_row_without_its_last_columns_is_read(folder: Path) -> None:
    run_steps(folder, make_tools(), ProgressReporter())
    path = folder / UTTERANCES_FILE
    path.write_text(path.read_text("utf-8").replace(",\n", "\n"), "utf-8")
    assert all(one.problems == () for one in read_utterances(folder))


def test_wrong_words_are_flagged_and_left_out(folder: Path) -> None:
    run_steps(folder, make_tools(), ProgressReporter(), ["clean"])
    path = folder / TRANSCRIPT_FILE
    path.write_text(path.read_text("utf-8").replace("four", "hundred"), "utf-8")
    run_steps(folder, make_tools(), ProgressReporter(), STEPS[1:])
    check = read_rows(folder / CHECK_FILE, CheckRow)[0]
    assert (check.written, check.instead) == ("HUNDRED", "FOUR")
    used = [one for one in read_utterances(folder) if not one.problems]
    assert not any("hundred" in one.text for one in used)


def test_a_bad_line_is_named(folder: Path) -> None:
    run_steps(folder, make_tools(), ProgressReporter())
    path = folder / CHECK_FILE
    path.write_text(path.read_text("utf-8").replace("1.0000", "high", 1), "utf-8")
    with pytest.raises(InvalidValueError, match=r"3-check\.csv, line 2"):
        run_steps(folder, make_tools(), ProgressReporter())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_utterances_are_exported(folder: Path, tmp_path: Path, layout: str) -> None:
    tools = make_tools()
    run_steps(folder, tools, ProgressReporter())
    utterances = read_utterances(folder)
    target = tmp_path / layout
    files = export_utterances(
        target, layout, utterances, lambda one: tools.cut(one.start, one.stop)
    )
    assert len(files) == len(utterances) and all(path.is_file() for path in files)
    written = "".join(
        path.read_text("utf-8") for path in target.rglob("*") if path.suffix in (".txt", ".csv")
    )
    assert all(one.text in written.replace('""', '"') for one in utterances)
    with pytest.raises(InvalidValueError, match="not empty"):
        export_utterances(target, layout, utterances, lambda one: tools.cut(0, 1))


@pytest.mark.parametrize(("score", "longer"), [(1.0, 0.0), (0.2, UNSURE_EDGE_S)])
def test_a_turn_with_an_unsure_edge_may_be_longer(score: float, longer: float) -> None:
    checks = [
        CheckRow(turn=turn, speaker=name, start=0.0, stop=9.0, diary_speaker=name, heard=1.0,
                 status="agrees", written="", instead="")
        for turn, name in enumerate(("Ann", "Bob"))
    ]  # fmt: skip
    parts = clean_transcript("one two three")
    aligned = [
        AlignedPart(turn=1, part=part, start=5.0 + n, stop=6.0 + n, score=score if n != 1 else 1.0)
        for n, part in enumerate(parts)
    ]
    others = list_other_speech(checks, aligned, "Ann")
    assert min(start for start, _ in others) == 5.0 - longer
    assert max(stop for _, stop in others) == 8.0 + longer
    assert list_other_speech(checks, aligned, "Bob") == [(0.0, 9.0)]

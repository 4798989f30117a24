"""A finished gold-standard project, written without its steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from core.files import write_json
from core.paths import ProjectPaths
from core.serialization import to_dict
from training.gold.diary import Turn, write_diary
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    OUTPUTS,
    OVERLAPS_FILE,
    PROJECT_FILE,
    STEPS,
    TRANSCRIPT_FILE,
    UTTERANCES_FILE,
    WAVEFORM_FILE,
    WORDS_FILE,
    CheckRow,
    GoldProject,
    OverlapRow,
    UtteranceRow,
    WordRow,
    create_project,
    hash_inputs,
    read_project,
    write_rows,
)

TURNS = [("Ann", 0.5, 4.0), ("Bob", 4.5, 6.0), ("Bob", 6.2, 9.0), ("Ann", 9.5, 12.0)]
TRANSCRIPT = "Ann: Hello there my friend.\nBob: Hi, how are you today?\nAnn: Very well."
RATE = 24_000


def write_gold_project(layout: ProjectPaths, name: str = "talk") -> Path:
    """Write the project `name` with a recording of tones; returns its folder."""
    folder = layout.training / "gold" / name
    source = folder / "source"
    source.mkdir(parents=True)
    recording, transcript = source / "recording.wav", source / "transcript.txt"
    times = np.arange(int(12.5 * RATE)) / RATE
    wave = np.zeros(len(times), dtype=np.float32)
    for who, start, stop in TURNS:
        inside = (times >= start) & (times < stop)
        pitch = 220 if who == "Ann" else 140
        loudness = 0.4 * np.abs(np.sin(3 * times[inside]))
        wave[inside] = loudness * np.sin(2 * np.pi * pitch * times[inside])
    soundfile.write(recording, wave, RATE)
    transcript.write_text(TRANSCRIPT, "utf-8")
    create_project(folder, GoldProject(recording=str(recording), transcript=str(transcript)))
    for step in STEPS:
        for file in OUTPUTS[step]:
            (folder / file).write_text("", "utf-8")
    (folder / TRANSCRIPT_FILE).write_text(TRANSCRIPT.replace(":", "|") + "\n", "utf-8")
    turns = [Turn(start=start, stop=stop, speaker=who) for who, start, stop in TURNS]
    write_diary(folder / DIARY_FILE, turns)
    write_rows(folder / OVERLAPS_FILE, [OverlapRow(start=3.9, stop=4.6)])
    _write_results(folder)
    blocks = np.array_split(np.abs(wave), 500)
    peaks = [round(float(block.max()) / 0.4, 3) for block in blocks]
    write_json(folder / WAVEFORM_FILE, {"duration_s": 12.5, "peaks": peaks})
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "recording.ogg", wave, RATE, format="OGG", subtype="VORBIS")
    project = read_project(folder)
    for step in STEPS:
        made = {**project.made_from, step: hash_inputs(folder, project, step)}
        project = replace(project, made_from=made)
    write_json(folder / PROJECT_FILE, to_dict(project))
    return folder


def _write_results(folder: Path) -> None:
    check = CheckRow(
        turn=0,
        speaker="Ann",
        start=0.5,
        stop=4.0,
        diary_speaker="Ann",
        heard=0.5,
        status="agrees",
        written="HELLO",
        instead="YELLOW",
    )
    write_rows(folder / CHECK_FILE, [check])
    word = WordRow(
        turn=0, first=0, last=5, source="Hello", words="HELLO", start=0.6, stop=1.0, score=0.4
    )
    write_rows(folder / WORDS_FILE, [word])
    kept = UtteranceRow(
        id="0000-000",
        turn=0,
        speaker="Ann",
        start=0.5,
        stop=4.0,
        text="Hello there <my> friend.",
        score=0.8,
        problems="",
    )
    left_out = replace(
        kept,
        id="0001-000",
        turn=1,
        speaker="Bob",
        start=4.5,
        stop=9.0,
        text="Hi, how are you today?",
        problems="another speaker for 0.5 s",
    )
    write_rows(folder / UTTERANCES_FILE, [kept, left_out])

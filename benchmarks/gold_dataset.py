"""Measure the gold-standard workflow on a recording made of known clips.

    PYTHONPATH=src python benchmarks/gold_dataset.py benchmarks/gold_clips.json WORK \\
        --speech SPEECH [--minutes 20]

CLIPS.json has, for each speaker, a list of audio files below SPEECH and what is said in them.
Prints turn accuracy, diarization error, planted errors and overlaps found, speech kept, utterances
with another speaker, CPU seconds per second of each step, and the peak memory, as JSON. Finished
steps in WORK are kept.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import torch

from core.progress import ProgressReporter
from training.gold.diary import read_diary
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    OVERLAPS_FILE,
    STEPS,
    WORDS_FILE,
    CheckRow,
    GoldProject,
    OverlapRow,
    WordRow,
    create_project,
    read_rows,
)
from training.gold.row_conversion import (
    read_utterances,
)
from training.gold.tools import open_tools
from training.gold.utterances import Utterance
from training.gold.workflow import run_steps

RATE = 24_000
FRAME_S = 0.01
MIN_OVERLAP_S = 0.5  # shorter ones are not counted as missed
OVERLAP_TOLERANCE_S = 0.5
SWAPS = ("banana", "tractor", "yesterday", "purple", "elephant", "kitchen", "seventeen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One turn of the made recording. text: true; written: with planted errors."""

    speaker: str
    start: float
    stop: float
    text: str
    written: str
    planted: tuple[str, ...]


def make_recording(
    clips: dict[str, list[tuple[Path, str]]], target: Path, minutes: float, seed: int
) -> list[Part]:
    """Join clips of the speakers to turns with gaps and some overlap; write a WAV.

    Clips are used again, in another order, once all of a speaker have been used.
    """
    chooser = random.Random(seed)
    queues: dict[str, list[tuple[Path, str]]] = {name: [] for name in clips}
    wave = np.zeros(int((minutes * 60 + 90) * RATE), dtype=np.float32)
    parts: list[Part] = []
    end, before = 0.5, ""
    while end < minutes * 60:
        before = chooser.choice([name for name in queues if name != before])
        gap = chooser.choice([0.15, 0.3, 0.5, 0.8, 1.2, -0.25, -0.9])  # below 0 is an overlap
        for _ in range(chooser.randint(1, 3)):
            if not queues[before]:
                queues[before] = chooser.sample(clips[before], len(clips[before]))
            path, text = queues[before].pop()
            samples = trim(path)
            samples = samples / max(float(np.abs(samples).max()), 1e-4) * 0.5
            start = max(0.0, end + max(gap, -0.5 * len(samples) / RATE))
            place = int(start * RATE)
            wave[place : place + len(samples)] += samples
            end, gap = start + len(samples) / RATE, 0.3
            written, planted = plant_errors(text, chooser)
            parts.append(
                Part(
                    speaker=before,
                    start=start,
                    stop=end,
                    text=text,
                    written=written,
                    planted=planted,
                )
            )
    soundfile.write(target, wave[: int((end + 0.5) * RATE)], RATE)
    return parts


@cache
def trim(path: Path) -> np.ndarray:
    """Return the samples of a clip from where its speech begins to where it ends.

    By the voice activity detector: noise after the speech is not the speaker.
    """
    with open_tools(path, Path("models/whisper"), ProgressReporter()) as tools:
        spans = list(tools.speech(ProgressReporter()))
        clip = tools.cut(spans[0][0], spans[-1][1])
    return np.asarray(clip.resample(RATE).wave.numpy())


def plant_errors(text: str, chooser: random.Random) -> tuple[str, tuple[str, ...]]:
    """Exchange one word of every fifth clip for another."""
    words = text.split()
    if chooser.random() > 0.2 or len(words) < 6:
        return text, ()
    place, word = chooser.randrange(1, len(words) - 1), chooser.choice(SWAPS)
    return " ".join([*words[:place], word, *words[place + 1 :]]), (word.upper(),)


def to_frames(turns: list[tuple[str, float, float]], names: list[str], count: int) -> np.ndarray:
    active = np.zeros((count, len(names)), dtype=bool)
    for name, start, stop in turns:
        if name in names:
            active[int(start / FRAME_S) : int(stop / FRAME_S), names.index(name)] = True
    return active


def diarization_error(parts: list[Part], folder: Path, speech: list[tuple[float, float]]) -> float:
    """Return missed, false and confused speech over all speech, 0.25 s around changes left out."""
    names = sorted({part.speaker for part in parts})
    count = int((parts[-1].stop + 1) / FRAME_S)
    true = to_frames([(p.speaker, p.start, p.stop) for p in parts], names, count)
    found = [(t.speaker, t.start, t.stop) for t in read_diary(folder / DIARY_FILE)]
    made = to_frames(found, names, count)
    spoken = np.zeros(count, dtype=bool)
    for start, stop in speech:
        spoken[int(start / FRAME_S) : int(stop / FRAME_S)] = True
    scored = spoken & true.any(1)
    for part in parts:
        for edge in (part.start, part.stop):
            scored[max(0, int((edge - 0.25) / FRAME_S)) : int((edge + 0.25) / FRAME_S)] = False
    confused = (true & made).any(1)
    return float(1 - confused[scored].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="JSON: speaker -> [[path, text], …]")
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--models", type=Path, default=Path("models/whisper"))
    parser.add_argument("--speech", type=Path, default=Path(), help="Folder of the clips")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    listed = json.loads(given.clips.read_text("utf-8"))
    clips = {
        name: [(given.speech / path, text) for path, text in rows] for name, rows in listed.items()
    }
    recording, transcript = given.work / "talk.wav", given.work / "talk.txt"
    parts = make_recording(clips, recording, given.minutes, given.seed)
    transcript.write_text("".join(f"{p.speaker}: {p.written}\n" for p in parts), "utf-8")
    folder = given.work / "project"
    create_project(folder, GoldProject(recording=str(recording), transcript=str(transcript)))
    seconds: dict[str, float] = {}
    with open_tools(recording, given.models, ProgressReporter()) as tools:
        speech = list(tools.speech(ProgressReporter()))
        for step in STEPS:
            began = time.process_time()
            run_steps(folder, tools, ProgressReporter(), [step])
            seconds[step] = round((time.process_time() - began) / tools.duration_s, 4)
    result = measure(parts, folder, speech, seconds) | measure_overlaps(parts, folder)
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def measure(
    parts: list[Part],
    folder: Path,
    speech: list[tuple[float, float]],
    seconds: dict[str, float],
) -> dict[str, object]:
    checks = read_rows(folder / CHECK_FILE, CheckRow)
    merged = merge_parts(parts)
    right = sum(
        check.diary_speaker == part.speaker for check, part in zip(checks, merged, strict=True)
    )
    planted = [(i, word) for i, part in enumerate(merged) for word in part.planted]
    flagged = sum(
        word in checks[index].written.split() or checks[index].status != "agrees"
        for index, word in planted
    )
    used = [one for one in read_utterances(folder) if not one.problems]
    foreign = sum(
        any(
            min(part.stop, one.stop) - max(part.start, one.start) > 0.1
            for part in parts
            if part.speaker != one.speaker
        )
        for one in used
    )
    wrong = sum(any(word in one.text.upper().split() for _, word in planted) for one in used)
    return {
        "turns": len(merged),
        "turn_accuracy": round(right / len(merged), 4),
        "diarization_error": round(diarization_error(parts, folder, speech), 4),
        "planted": len(planted),
        "planted_flagged": round(flagged / max(len(planted), 1), 4),
        "utterances": len(used),
        "kept_share": round(measure_kept(parts, speech, used), 4),
        "with_other_speaker": foreign,
        "with_planted_error": wrong,
        "words": len(read_rows(folder / WORDS_FILE, WordRow)),
        "cpu_seconds_per_second": seconds,
    }


def measure_kept(
    parts: list[Part], speech: list[tuple[float, float]], used: list[Utterance]
) -> float:
    """Return the share of clean speech in the kept utterances.

    Clean is speech of one person without a planted error; pauses do not count.
    """
    count = int((parts[-1].stop + 1) / FRAME_S)
    voices = np.zeros(count, dtype=int)
    clean, spoken, kept = (np.zeros(count, dtype=bool) for _ in range(3))
    for part in parts:
        frames = slice(int(part.start / FRAME_S), int(part.stop / FRAME_S))
        voices[frames] += 1
        clean[frames] = not part.planted
    for start, stop in speech:
        spoken[int(start / FRAME_S) : int(stop / FRAME_S)] = True
    for one in used:
        kept[int(one.start / FRAME_S) : int(one.stop / FRAME_S)] = True
    counted = clean & spoken & (voices == 1)
    return float(kept[counted].mean())


def measure_overlaps(parts: list[Part], folder: Path) -> dict[str, object]:
    """Return how many planted overlaps are found, and how many of those found are planted."""
    planted = [
        (two.start, one.stop)
        for one, two in pairwise(parts)
        if one.speaker != two.speaker and two.start < one.stop
    ]
    rows = read_rows(folder / OVERLAPS_FILE, OverlapRow)
    found = [(row.start - OVERLAP_TOLERANCE_S, row.stop + OVERLAP_TOLERANCE_S) for row in rows]
    long = [span for span in planted if span[1] - span[0] >= MIN_OVERLAP_S]
    hit = sum(any(a < stop and start < b for a, b in found) for start, stop in long)
    true = sum(any(a < stop and start < b for start, stop in planted) for a, b in found)
    return {
        "overlaps_planted": len(long),
        "overlaps_found": round(hit / max(len(long), 1), 4),
        "overlaps_precision": round(true / max(len(found), 1), 4),
    }


def merge_parts(parts: list[Part]) -> list[Part]:
    """Join consecutive parts of one speaker, as the transcript's turns are."""
    merged: list[Part] = []
    for part in parts:
        if merged and merged[-1].speaker == part.speaker:
            last = merged[-1]
            merged[-1] = Part(
                speaker=last.speaker,
                start=last.start,
                stop=part.stop,
                text=f"{last.text} {part.text}",
                written=f"{last.written} {part.written}",
                planted=last.planted + part.planted,
            )
        else:
            merged.append(part)
    return merged


if __name__ == "__main__":
    main()

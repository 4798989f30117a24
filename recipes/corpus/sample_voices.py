"""Write the shipped voices: `python -m recipes.corpus.sample_voices voices/ --readers FOLDER`.

Four are spoken by the teacher, two are readers of LibriSpeech, whose recordings are cut at pauses.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch

from audio.clip import Clip
from audio.energy_vad import compute_frame_levels_db
from audio.io import read_clip, write_clip
from quick.teacher import SAMPLE_RATE, load_teacher
from recipes.corpus.teacher import TEACHER_SPEAKERS, TeacherSpeaker, WorldAnalysis, trim_silence

SAMPLE_SENTENCES = (
    "The morning train was full of people, reading their papers without a word.",
    "Could you bring me a measure of flour, six eggs, and a small jar of honey?",
    "We walked along the beach until the sun had vanished behind the hills.",
    "Nothing gives him greater joy than fixing an old clock with his own hands.",
)
"""The clips of each voice of the teacher; not in any test or corpus."""

TEACHER_VOICES: Mapping[str, str] = {
    "clara": "heart", "martin": "bass", "felix": "tenor", "iris": "girl",
}  # fmt: skip
"""Shipped voice -> voice of the teacher."""

READERS: Mapping[str, str] = {"vera": "125-121124-0000", "angus": "4397-15666-0000"}
"""Shipped voice -> recording of LibriSpeech, train-clean-100 (CC BY 4.0).

Two of the 193 readers with at least eleven seconds: those that both starters clone clearly, without
making them sound like a voice of the teacher.
"""

PIECES = 4  # of a recording
PEAK = 0.7
SEARCH = 0.2  # of a piece, around its planned end


def write_teacher_voices(folder: Path) -> None:
    """Write the missing clips of the teacher's voices."""
    for name, speaker in TEACHER_VOICES.items():
        for number, line in enumerate(SAMPLE_SENTENCES, start=1):
            path = folder / name / f"{number}.flac"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_clip(path, speak_as(speaker, line))


def speak_as(speaker: str, text: str) -> Clip:
    """Speak a text in a voice of the teacher.  Raises KeyError for an unknown one."""
    known: dict[str, TeacherSpeaker] = {one.name: one for one in TEACHER_SPEAKERS}
    said = trim_silence(load_teacher().speak(text))
    own = known[speaker] == TEACHER_SPEAKERS[0]
    wave = torch.from_numpy(said.wave if own else WorldAnalysis(said).synthesize(known[speaker]))
    return Clip(wave=wave * (PEAK / wave.abs().max()), sample_rate=SAMPLE_RATE, name=speaker)


def write_readers(folder: Path, recordings: Path) -> None:
    """Write the missing clips of the readers."""
    for name, stem in READERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, clip in enumerate(cut_at_pauses(read_clip(recordings / f"{stem}.flac")), 1):
            path = folder / name / f"{number}.flac"
            if not path.exists():
                write_clip(path, clip)


def cut_at_pauses(clip: Clip) -> list[Clip]:
    """Cut a recording into four pieces of about the same length, at its quietest places."""
    count = len(clip.wave)
    ends = [0]
    for number in range(1, PIECES):
        middle, reach = number * count // PIECES, round(SEARCH * count / PIECES / 2)
        part = Clip(wave=clip.wave[middle - reach : middle + reach], sample_rate=clip.sample_rate)
        levels = compute_frame_levels_db(part)
        ends.append(middle - reach + int(levels.argmin()) * 2 * reach // len(levels))
    ends.append(count)
    return [
        Clip(wave=clip.wave[first:last], sample_rate=clip.sample_rate)
        for first, last in pairwise(ends)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the clips from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.corpus.sample_voices", description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--readers", type=Path, help="recordings of LibriSpeech")
    parsed = cli.parse_args(arguments)
    write_teacher_voices(parsed.folder)
    if parsed.readers is not None:
        write_readers(parsed.folder, parsed.readers)


if __name__ == "__main__":
    main()

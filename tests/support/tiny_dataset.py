"""A dataset of hummed clips that the tiny bundle can learn from; the starter finds them too short.

make_tiny_dataset(root / "training", "hum")
"""

from __future__ import annotations

import math
import random
import struct
import wave
from pathlib import Path

from training.dataset_prep.manifest import ClipRow, Dataset, write_dataset

RATE = 22_050
SHORTEST_S = 0.62
SENTENCES = (
    "the cat sat",
    "we run home",
    "a red hat",
    "it is cold",
    "the sun set",
    "go to bed",
    "an old man",
    "he saw her",
    "cut the bread",
    "my own boat",
    "so it went",
    "rain all day",
)


def make_tiny_dataset(training: Path, name: str, voice: str = "", validation: int = 2) -> Path:
    """Write a dataset of a voice, with so many clips to check with; returns the folder."""
    folder = training / name
    (folder / "audio").mkdir(parents=True)
    clips = []
    for number, sentence in enumerate(SENTENCES):
        seconds = SHORTEST_S + 0.03 * (number % 6)
        clip = ClipRow(
            id=f"clip{number:02d}",
            source="hum.wav",
            start_s=float(number),
            stop_s=number + seconds,
            text=sentence,
            part="validation" if number < validation else "train",
        )
        hum(folder / clip.file, seconds, 110.0 + 15 * number)
        clips.append(clip)
    write_dataset(folder, Dataset(name=name, voice=voice, clips=tuple(clips)))
    return folder


def hum(path: Path, seconds: float, pitch: float) -> None:
    """Write a tone with a little breath in it, 16 bit."""
    breath = random.Random(path.name)
    samples = (
        0.3 * math.sin(math.tau * pitch * at / RATE) + breath.gauss(0, 0.02)
        for at in range(round(seconds * RATE))
    )
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(struct.pack("<h", round(32_000 * value)) for value in samples))

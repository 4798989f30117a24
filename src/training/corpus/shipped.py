"""Make the voices that the repository ships: `python -m training.corpus.shipped voices/`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from speech.clip import Clip
from speech.files import write_clip
from training.corpus.speakers import SAMPLE_RATE, SHIPPED, Speaker, speak

LINES = (
    "The morning train was full of people, reading their papers without a word.",
    "Could you bring me a measure of flour, six eggs, and a small jar of honey?",
    "We walked along the beach until the sun had vanished behind the hills.",
    "Nothing gives him greater joy than fixing an old clock with his own hands.",
)
"""What each voice is heard saying; no line of any test or corpus."""


def ship(folder: Path) -> None:
    """Write one folder of clips for every shipped speaker; whatever lies there stays."""
    for speaker in SHIPPED:
        (folder / speaker.name).mkdir(parents=True, exist_ok=True)
        for number, line in enumerate(LINES, start=1):
            path = folder / speaker.name / f"{number}.flac"
            if not path.exists():
                write_clip(path, say(speaker, line))


def say(speaker: Speaker, text: str) -> Clip:
    """The speaker's own reading of a text, which is as good as its clone can become."""
    wave = torch.from_numpy(speak(speaker, text))
    return Clip(wave=wave, sample_rate=SAMPLE_RATE, name=speaker.name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the clips."""
    cli = argparse.ArgumentParser(prog="training.corpus.shipped", description=__doc__)
    cli.add_argument("folder", type=Path)
    ship(cli.parse_args(arguments).folder)


if __name__ == "__main__":
    main()

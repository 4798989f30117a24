"""Synthesize the sample voices: `python -m recipes.corpus.sample_voices voices/`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from audio.clip import Clip
from audio.io import write_clip
from recipes.corpus.speakers import (
    SAMPLE_RATE,
    SAMPLE_SPEAKERS,
    SyntheticSpeaker,
    synthesize_speech,
)

SAMPLE_SENTENCES = (
    "The morning train was full of people, reading their papers without a word.",
    "Could you bring me a measure of flour, six eggs, and a small jar of honey?",
    "We walked along the beach until the sun had vanished behind the hills.",
    "Nothing gives him greater joy than fixing an old clock with his own hands.",
)
"""The clips of each voice; not in any test or corpus."""


def write_sample_voices(folder: Path) -> None:
    """Write the missing clips of every sample speaker."""
    for speaker in SAMPLE_SPEAKERS:
        (folder / speaker.name).mkdir(parents=True, exist_ok=True)
        for number, line in enumerate(SAMPLE_SENTENCES, start=1):
            path = folder / speaker.name / f"{number}.flac"
            if not path.exists():
                write_clip(path, synthesize_clip(speaker, line))


def synthesize_clip(speaker: SyntheticSpeaker, text: str) -> Clip:
    """Synthesize a text with a speaker."""
    wave = torch.from_numpy(synthesize_speech(speaker, text))
    return Clip(wave=wave, sample_rate=SAMPLE_RATE, name=speaker.name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the clips from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.corpus.sample_voices", description=__doc__)
    cli.add_argument("folder", type=Path)
    write_sample_voices(cli.parse_args(arguments).folder)


if __name__ == "__main__":
    main()

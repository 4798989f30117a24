"""Build a corpus: `python -m recipes.corpus.build FOLDER --clips 40000`.

Each shard follows from the seed and its number alone, so a build can be resumed and divided among
processes. Most clips are by the sample voices, the others by random speakers, a few clips each.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from core.files import atomic_path, write_text
from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow
from recipes.corpus.speakers import (
    SAMPLE_RATE,
    SAMPLE_SPEAKERS,
    SynthesizerError,
    SyntheticSpeaker,
    synthesize_speech,
)
from recipes.corpus.text import generate_sentences
from recipes.loop import ProgressPrinter

MAX_CLIP_S = 11.5
GAIN_RANGE = (0.5, 1.0)
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
ESPEAK_VARIANTS = ("m1", "m2", "m4", "m5", "m6", "m8", "f1", "f3", "f4")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusConfig:
    """Size and mixture of a corpus."""

    seed: int = 1
    clips: int = 37_000
    clips_per_shard: int = 250
    random_speaker_fraction: float = 0.35  # share of clips by random speakers
    espeak_fraction: float = 0.3  # share of random speakers by espeak-ng
    clips_per_random_speaker: int = 8
    texts: tuple[Path, ...] = ()  # files with more sentences


def build_corpus(
    folder: Path, config: CorpusConfig, processes: int, report: ProgressReporter
) -> None:
    """Write the missing shards."""
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    numbers = range(-(-config.clips // config.clips_per_shard))
    missing = [n for n in numbers if not (shards / f"{n:04d}.jsonl").exists()]
    with ProcessPoolExecutor(processes) as pool:
        done = pool.map(partial(build_shard, shards, config), missing)
        for _ in report.track(done, "speaking", len(missing)):
            pass


def build_shard(shards: Path, config: CorpusConfig, number: int) -> None:
    """Write shard `number` atomically: first its samples, then its index."""
    waves: list[np.ndarray] = []
    rows: list[CorpusRow] = []
    start, name = 0, f"{number:04d}.npy"
    for speaker, text in _assign_texts(config, number):
        try:
            wave = synthesize_speech(speaker, text)
        except SynthesizerError:
            continue  # a text such as "a." may be silent
        if len(wave) > MAX_CLIP_S * SAMPLE_RATE:
            continue
        level = random.Random(f"{config.seed} {number} {start}").uniform(*GAIN_RANGE)
        waves.append((wave * (level * 32767)).astype(np.int16))
        row = CorpusRow(shard=name, start=start, samples=len(wave), speaker=speaker.name, text=text)
        rows.append(row)
        start += len(wave)
    if not rows:
        raise SynthesizerError(f"shard {number} has no sound; are flite and espeak-ng installed?")
    with atomic_path(shards / name) as part:
        np.save(part, np.concatenate(waves))
    index = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    write_text(shards / f"{number:04d}.jsonl", index)


def _assign_texts(config: CorpusConfig, number: int) -> Iterator[tuple[SyntheticSpeaker, str]]:
    draw = random.Random(f"{config.seed} {number}")
    texts = generate_sentences(draw.randrange(2**31), texts=config.texts)
    size = config.clips_per_shard
    random_speakers = max(
        1, round(size * config.random_speaker_fraction / config.clips_per_random_speaker)
    )
    speakers = [
        _draw_speaker(draw, config, f"g{number:04d}{index}") for index in range(random_speakers)
    ]
    for speaker in speakers:
        for text in islice(texts, config.clips_per_random_speaker):
            yield speaker, text
    for text in islice(texts, size - random_speakers * config.clips_per_random_speaker):
        yield draw.choice(SAMPLE_SPEAKERS), text


def _draw_speaker(draw: random.Random, config: CorpusConfig, name: str) -> SyntheticSpeaker:
    tract = draw.uniform(0.84, 1.16)
    speaker = SyntheticSpeaker(
        name=name,
        voice=draw.choice(FLITE_VOICES),
        tract=tract,
        pitch=tract * draw.uniform(0.85, 1.2),
        pace=draw.uniform(0.9, 1.15),
    )
    if draw.random() >= config.espeak_fraction:
        return speaker
    voice = f"en-us+{draw.choice(ESPEAK_VARIANTS)}"
    return replace(speaker, synthesizer="espeak-ng", voice=voice)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build a corpus from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.corpus.build", description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--clips", type=int, default=CorpusConfig().clips)
    cli.add_argument("--seed", type=int, default=CorpusConfig().seed)
    cli.add_argument("--text", type=Path, action="append", default=[], help="a text file to use")
    cli.add_argument("--processes", type=int, default=2)
    parsed = cli.parse_args(arguments)
    config = CorpusConfig(seed=parsed.seed, clips=parsed.clips, texts=tuple(parsed.text))
    build_corpus(parsed.folder, config, parsed.processes, ProgressReporter(ProgressPrinter()))


if __name__ == "__main__":
    main()

"""Build a corpus of the teacher: `python -m recipes.corpus.build_teacher FOLDER --shards 54`.

It has the format of `recipes.corpus.reader`; rows of the same `sentence` are the same words with
the same timing in several voices. `shards/0007.f0.npy` holds the F0 of every clip, one
after the other (float16, 12.5 ms a frame). Each shard follows from the seed and its number alone.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from core.files import atomic_path, write_text
from core.progress import ProgressReporter
from quick.teacher import SAMPLE_RATE, Teacher, TeacherUtterance
from recipes.corpus.reader import CorpusRow
from recipes.corpus.teacher import (
    F0_HOP,
    TeacherSpeaker,
    WorldAnalysis,
    draw_speakers,
    shift_f0,
    trim_silence,
)
from recipes.corpus.text import TextMix, generate_sentences
from recipes.loop import ProgressPrinter

MAX_CLIP_S = 14.0
SENTENCE_NUMBERS = 10_000  # of a shard, more than it has sentences
PEAK_RANGE = 0.25, 0.8  # of full scale


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherCorpusConfig:
    """Size and mixture of a corpus of the teacher."""

    seed: int = 1
    shards: int = 56  # about eleven minutes of speech each
    solo_shards: int = 48  # more of them, with the first voice alone
    sentences_per_shard: int = 30
    voices_per_sentence: int = 5
    random_voices: int = 200  # size of the pool
    speeds: tuple[float, float] = (0.85, 1.25)
    texts: tuple[Path, ...] = ()
    mix: TextMix = field(
        default_factory=lambda: TextMix(grammar=0.5, words=0.22, scraps=0.08, long=0.2)
    )


def build_teacher_corpus(
    folder: Path, config: TeacherCorpusConfig, report: ProgressReporter
) -> None:
    """Write the missing shards."""
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    numbers = range(config.shards + config.solo_shards)
    missing = [n for n in numbers if not (shards / f"{n:04d}.jsonl").exists()]
    teacher = Teacher()
    for number in report.track(missing, "speaking"):
        build_teacher_shard(teacher, shards, config, number)


def build_teacher_shard(
    teacher: Teacher, shards: Path, config: TeacherCorpusConfig, number: int
) -> None:
    """Write shard `number` atomically: its samples and F0, then its index."""
    draw = random.Random(f"teacher {config.seed} {number}")
    texts = generate_sentences(draw.randrange(2**31), config.mix, config.texts)
    waves: list[np.ndarray] = []
    pitches: list[np.ndarray] = []
    rows: list[CorpusRow] = []
    is_solo = number >= config.shards
    voices = 1 if is_solo else config.voices_per_sentence
    sentences = config.sentences_per_shard * config.voices_per_sentence // voices
    for index, text in enumerate(islice(texts, sentences)):
        said = trim_silence(
            teacher.speak(text, draw.uniform(*config.speeds), draw.randrange(2**31))
        )
        peak = draw.uniform(*PEAK_RANGE)
        speakers = draw_speakers(draw, voices, config.random_voices)
        if len(said.wave) > MAX_CLIP_S * SAMPLE_RATE:
            continue
        for speaker, wave in zip(speakers, _speak_in_voices(said, speakers), strict=True):
            waves.append(to_int16(wave, peak))
            pitches.append(shift_f0(said.f0, speaker).astype(np.float16))
            rows.append(
                CorpusRow(
                    shard=f"{number:04d}.npy",
                    start=sum(row.samples for row in rows),
                    samples=len(wave),
                    speaker=speaker.name,
                    text=text,
                    sentence=number * SENTENCE_NUMBERS + index,
                    phonemes=said.phonemes,
                    durations=said.durations,
                )
            )
    with atomic_path(shards / f"{number:04d}.f0.npy") as part:
        np.save(part, np.concatenate(pitches))
    write_shard(shards, number, waves, rows)


def write_shard(
    shards: Path, number: int, waves: Sequence[np.ndarray], rows: Sequence[CorpusRow]
) -> None:
    """Write the samples of a shard (int16), then its index, which completes it."""
    with atomic_path(shards / f"{number:04d}.npy") as part:
        np.save(part, np.concatenate(waves))
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    write_text(shards / f"{number:04d}.jsonl", lines)


def _speak_in_voices(
    said: TeacherUtterance, speakers: Sequence[TeacherSpeaker]
) -> Iterator[np.ndarray]:
    """Yield the utterance of the first speaker unchanged, then with the others' voices."""
    yield said.wave
    analysis = WorldAnalysis(said) if len(speakers) > 1 else None
    for speaker in speakers[1:]:
        assert analysis is not None
        yield analysis.synthesize(speaker)


def to_int16(wave: np.ndarray, peak: float) -> np.ndarray:
    """Scale a wave to a peak, a share of full scale."""
    loudest = max(float(np.abs(wave).max()), 1e-6)
    return (wave * (peak / loudest * 32767)).astype(np.int16)


def read_f0(folder: Path, row: CorpusRow) -> np.ndarray:
    """Return the F0 of a clip: (samples / 300,) Hz, 0 where unvoiced."""
    shard = np.load((folder / "shards" / row.shard).with_suffix(".f0.npy"), mmap_mode="r")
    values: np.ndarray = shard[row.start // F0_HOP : (row.start + row.samples) // F0_HOP]
    return values.astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build a corpus from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.corpus.build_teacher", description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--shards", type=int, default=TeacherCorpusConfig().shards)
    cli.add_argument("--voices", type=int, default=TeacherCorpusConfig().voices_per_sentence)
    cli.add_argument("--sentences", type=int, default=TeacherCorpusConfig().sentences_per_shard)
    cli.add_argument("--seed", type=int, default=TeacherCorpusConfig().seed)
    cli.add_argument("--text", type=Path, action="append", default=[], help="a text file to use")
    parsed = cli.parse_args(arguments)
    config = TeacherCorpusConfig(
        seed=parsed.seed,
        shards=parsed.shards,
        sentences_per_shard=parsed.sentences,
        voices_per_sentence=parsed.voices,
        solo_shards=0,
        texts=tuple(parsed.text),
    )
    build_teacher_corpus(parsed.folder, config, ProgressReporter(ProgressPrinter()))


if __name__ == "__main__":
    main()

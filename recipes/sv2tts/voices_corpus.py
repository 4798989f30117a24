"""Build a corpus of the teacher in the voices of its family, and of real people by conversion.

    python -m recipes.sv2tts.voices_corpus OUT --recordings FOLDER --shards 40

It has the format of `recipes.corpus.reader`. Each sentence is spoken once and told in some voices:
WORLD makes those of the family, the speaker codec of a model those of real people. The name of a
real speaker is the part of a file's name before the first `-`, as LibriSpeech names its files.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip
from core.progress import ProgressReporter
from quick.converter import PhoneTimes, VoiceConverter
from quick.teacher import SAMPLE_RATE, Teacher, TeacherUtterance
from recipes.corpus.build_teacher import MAX_CLIP_S, PEAK_RANGE, to_int16, write_shard
from recipes.corpus.reader import CorpusRow
from recipes.corpus.teacher import TEACHER_SPEAKERS, TeacherSpeaker, WorldAnalysis, trim_silence
from recipes.corpus.text import TextMix, generate_sentences
from recipes.loop import ProgressPrinter

FAMILY = ("heart", "bass", "tenor", "girl")
MAX_RECORDINGS = 6  # of a speaker, that give the vector


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicesCorpusConfig:
    """Size and mixture of the corpus. family: share of the sentences in a voice of the family;
    often: speakers that are drawn `often_share` of the times that a real person is drawn.
    """

    seed: int = 1
    shards: int = 40
    sentences_per_shard: int = 50
    voices_per_sentence: int = 2
    family: float = 0.4
    often: tuple[str, ...] = ()
    often_share: float = 0.15
    speeds: tuple[float, float] = (0.9, 1.2)
    texts: tuple[Path, ...] = ()
    mix: TextMix = field(
        default_factory=lambda: TextMix(grammar=0.3, words=0.1, scraps=0.1, long=0.2, files=0.3)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRenderer:
    """Tells what the teacher said in another voice. people: speaker vectors by name."""

    converter: VoiceConverter
    people: Mapping[str, Tensor]

    def render(self, said: TeacherUtterance, voice: str, seed: int) -> np.ndarray:
        """Return the utterance in this voice: (n,) float32, as long as the original."""
        if voice in self.people:
            return self._convert(said, self.people[voice], seed)
        speaker = find_family_voice(voice)
        if speaker == TEACHER_SPEAKERS[0]:
            return said.wave
        return WorldAnalysis(said).synthesize(speaker)

    def _convert(self, said: TeacherUtterance, vector: Tensor, seed: int) -> np.ndarray:
        clip = Clip(wave=torch.from_numpy(said.wave).clamp(-1, 1), sample_rate=SAMPLE_RATE)
        generator = torch.Generator().manual_seed(seed)
        phones, report = PhoneTimes.of(said), ProgressReporter()
        made, _ = self.converter.convert(clip, vector, "auto", generator, report, phones)
        return made.wave.numpy()


def find_family_voice(name: str) -> TeacherSpeaker:
    """Return a named voice of the teacher."""
    return next(speaker for speaker in TEACHER_SPEAKERS if speaker.name == name)


def embed_people(converter: VoiceConverter, recordings: Path) -> dict[str, Tensor]:
    """Return the speaker vector of each person of a folder."""
    files: dict[str, list[Path]] = {}
    for path in sorted(recordings.rglob("*.flac")):
        files.setdefault(path.stem.split("-")[0], []).append(path)
    return {
        name: converter.embed([read_clip(path) for path in paths[:MAX_RECORDINGS]])
        for name, paths in files.items()
    }


def build_shard(
    teacher: Teacher, renderer: VoiceRenderer, folder: Path, config: VoicesCorpusConfig, number: int
) -> None:
    """Write shard `number` atomically: its samples, then its index."""
    draw = random.Random(f"voices {config.seed} {number}")
    texts = generate_sentences(draw.randrange(2**31), config.mix, config.texts)
    waves: list[np.ndarray] = []
    rows: list[CorpusRow] = []
    for text in islice(texts, config.sentences_per_shard):
        said = trim_silence(
            teacher.speak(text, draw.uniform(*config.speeds), draw.randrange(2**31))
        )
        voices = list(
            islice(draw_voices(draw, renderer.people, config), config.voices_per_sentence)
        )
        if len(said.wave) > MAX_CLIP_S * SAMPLE_RATE:
            continue
        for voice in voices:
            wave = renderer.render(said, voice, draw.randrange(2**31))
            waves.append(to_int16(wave, draw.uniform(*PEAK_RANGE)))
            rows.append(
                CorpusRow(
                    shard=f"{number:04d}.npy",
                    start=sum(row.samples for row in rows),
                    samples=len(wave),
                    speaker=voice,
                    text=text,
                    phonemes=said.phonemes,
                    durations=said.durations,
                )
            )
    write_shard(folder, number, waves, rows)


def draw_voices(
    draw: random.Random, people: Mapping[str, Tensor], config: VoicesCorpusConfig
) -> Iterator[str]:
    """Yield voices without end."""
    names, often = sorted(people), [name for name in config.often if name in people]
    while True:
        chance = draw.random()
        if chance < config.family or not names:
            yield draw.choice(FAMILY)
        elif often and draw.random() < config.often_share:
            yield draw.choice(often)
        else:
            yield draw.choice(names)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build a corpus from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.sv2tts.voices_corpus", description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--recordings", type=Path, required=True, help="a folder of real people")
    cli.add_argument("--model", type=Path, default=Path("models/starter"), help="has the codec")
    cli.add_argument("--shards", type=int, default=VoicesCorpusConfig().shards)
    cli.add_argument("--often", action="append", default=[], help="a speaker to draw more often")
    cli.add_argument("--text", type=Path, action="append", default=[], help="a text file to use")
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(1)
    config = VoicesCorpusConfig(
        shards=parsed.shards, often=tuple(parsed.often), texts=tuple(parsed.text)
    )
    converter = VoiceConverter.load(parsed.model, torch.device("cpu"))
    renderer = VoiceRenderer(converter=converter, people=embed_people(converter, parsed.recordings))
    shards = parsed.folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(config.shards) if not (shards / f"{n:04d}.jsonl").exists()]
    teacher = Teacher()
    for number in ProgressReporter(ProgressPrinter()).track(missing, "speaking"):
        build_shard(teacher, renderer, shards, config, number)


if __name__ == "__main__":
    main()

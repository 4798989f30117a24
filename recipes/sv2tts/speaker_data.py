"""Make a speaker dataset for the encoder: voices of the teacher, and real people.

    python -m recipes.sv2tts.speaker_data OUT --teacher FOLDER --recordings FOLDER

A recording `<speaker>-<anything>.flac` is of that speaker, as LibriSpeech names its files. Clips of
the teacher in the voice of a recorded person are left out: the recordings tell that voice.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from audio.clip import Clip, ClipError
from audio.io import read_clip
from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow, read_index, read_wave
from recipes.loop import ProgressPrinter
from speakers.dataset import (
    FeatureFile,
    Speaker,
    SpeakerDataset,
    get_feature_path,
    write_speaker_dataset,
)
from speakers.embedding import prepare_wave
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.features import extract_features

SAMPLE_RATE = 24_000
CLIPS_PER_VOICE = 8


def write_speaker_data(
    folder: Path, teacher: Path | None, recordings: Path | None, report: ProgressReporter
) -> SpeakerDataset:
    """Write features and dataset.json; clips without enough speech are left out."""
    config = FeatureConfig()
    files: dict[str, list[FeatureFile]] = defaultdict(list)
    recorded = sorted(recordings.rglob("*.flac")) if recordings else []
    people = {path.stem.split("-")[0] for path in recorded}
    spoken = [row for row in read_index(teacher) if row.speaker not in people] if teacher else []
    sources: list[CorpusRow | Path] = [*choose_clips(spoken), *recorded]
    for source in report.track(sources, "features"):
        speaker = source.stem.split("-")[0] if isinstance(source, Path) else source.speaker
        clip = read_clip(source) if isinstance(source, Path) else read_teacher_clip(teacher, source)
        try:
            wave = prepare_wave(clip.resample(config.sample_rate).wave.numpy(), config)
        except ClipError:
            continue
        features = extract_features(wave, config)
        name = f"{speaker}/{len(files[speaker]):04d}.npy"
        file = FeatureFile(path=name, frames=len(features), source=clip.name)
        path = get_feature_path(folder, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, features)
        files[speaker].append(file)
    speakers = tuple(Speaker(id=name, name=name, files=tuple(own)) for name, own in files.items())
    dataset = SpeakerDataset(features=config, speakers=speakers)
    write_speaker_dataset(folder, dataset)
    return dataset


def choose_clips(rows: Sequence[CorpusRow]) -> list[CorpusRow]:
    """Return the first clips of each voice."""
    return list(_iter_first(rows))


def _iter_first(rows: Sequence[CorpusRow]) -> Iterator[CorpusRow]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.speaker] += 1
        if counts[row.speaker] <= CLIPS_PER_VOICE:
            yield row


def read_teacher_clip(teacher: Path | None, row: CorpusRow) -> Clip:
    """Read a clip of the teacher's corpus."""
    assert teacher is not None  # rows come from its index
    wave = torch.from_numpy(read_wave(teacher, row).astype(np.float32) / 32_768)
    return Clip(wave=wave, sample_rate=SAMPLE_RATE, name=f"{row.shard}:{row.start}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a speaker dataset from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.sv2tts.speaker_data", description=__doc__)
    cli.add_argument("out", type=Path)
    cli.add_argument("--teacher", type=Path, help="a corpus of recipes.corpus.build_teacher")
    cli.add_argument("--recordings", type=Path, help="a folder of real people")
    parsed = cli.parse_args(arguments)
    report = ProgressReporter(ProgressPrinter())
    write_speaker_data(parsed.out, parsed.teacher, parsed.recordings, report)


if __name__ == "__main__":
    main()

"""Prepare speech for the speaker codec and train it.

    python -m recipes.build_codec recordings FOLDER... --store STORE
    python -m recipes.build_codec teacher CORPUS --store STORE
    python -m recipes.build_codec train --store STORE --work FOLDER
    python -m recipes.build_codec export MODEL --work FOLDER

Preparation adds what is missing, so it can be repeated while the teacher's corpus grows; a running
training sees new shards when it is started again. The training has three stages, each in a folder
of its own: the codec, a phone recognizer, and the decoder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import torch

from audio.clip import Clip
from audio.io import read_clip
from core.progress import ProgressReporter
from quick.teacher import SAMPLE_RATE
from recipes.corpus.reader import CorpusRow, read_index, read_wave
from recipes.data.phones import PhoneSpan, list_teacher_spans
from recipes.data.segments import AUDIO_SUFFIXES
from recipes.data.speech_store import SpeechStore, Utterance, list_shards, write_shard
from recipes.loop import ProgressPrinter
from recipes.recipes import Recipes
from recipes.stage_outputs import StageOutputs
from recipes.train_codec_decoder import train_codec_decoder
from recipes.train_phone_recognizer import train_phone_recognizer
from recipes.train_speaker_codec import train_speaker_codec
from tortoise.checkpoints.loading import load_mel_stats, save_network
from tortoise.generation.voice_conditioning import embed_windows, load_vector_encoder
from tortoise.modules.speaker_codec import SpeakerCodecConfig

TAPE_SPEEDS = (1.0, 0.84, 0.92, 1.09, 1.18)
"""Playing a recording faster or slower gives another speaker, with other timing."""

RECORDINGS_PER_SHARD = 60
TEACHER_PREFIX = "teacher-"  # of the names of its shards in a store
PHONES_SUFFIX = ".phones.json"  # beside a recording: [["HH", 0.31], ...], phones and their ends


def add_recordings(folders: Sequence[Path], store: Path, report: ProgressReporter) -> None:
    """Add recordings of real people, each also at other tape speeds."""
    encoder = load_vector_encoder(SpeakerCodecConfig().speaker_encoder)
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    paths = [path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES]
    groups = [
        paths[start : start + RECORDINGS_PER_SHARD]
        for start in range(0, len(paths), RECORDINGS_PER_SHARD)
    ]
    for number, group in enumerate(report.track(groups, "recordings")):
        shard = store / f"real-{number:04d}"
        if shard not in list_shards(store):
            versions = (_play(path, speed) for path in group for speed in TAPE_SPEEDS)
            write_shard(shard, versions, partial(embed_windows, encoder))


def add_teacher_shards(
    corpus: Path, store: Path, report: ProgressReporter, most: int | None = None
) -> None:
    """Add the first shards of a parallel corpus, `most` of them, that are complete."""
    encoder = load_vector_encoder(SpeakerCodecConfig().speaker_encoder)
    for name, rows in report.track(
        list(islice(group_by_shard(read_index(corpus)), most)), "teacher"
    ):
        shard = store / f"{TEACHER_PREFIX}{name}"
        if shard not in list_shards(store):
            write_shard(shard, _read_sentences(corpus, rows), partial(embed_windows, encoder))


def group_by_shard(rows: Sequence[CorpusRow]) -> Iterator[tuple[str, list[CorpusRow]]]:
    """Yield the name and the rows of each shard of a corpus."""
    for name, group in groupby(rows, key=lambda row: row.shard):
        yield Path(name).stem, list(group)


def list_teacher_shards(store: Path) -> list[Path]:
    """Return the shards of a store with speech of the teacher, sorted by name."""
    return [shard for shard in list_shards(store) if shard.name.startswith(TEACHER_PREFIX)]


def train_codec(recipes: Recipes, store: Path, work: Path, report: ProgressReporter) -> None:
    """Train codes and decoder, in `work`/codec."""
    speech = SpeechStore(list_shards(store))
    train_speaker_codec(recipes.codec, speech, work / "codec", report)


def train_recognizer(recipes: Recipes, store: Path, work: Path, report: ProgressReporter) -> None:
    """Train the phone recognizer on speech of the teacher, in `work`/recognizer."""
    speech = SpeechStore(list_teacher_shards(store))
    train_phone_recognizer(recipes.recognizer, speech, work / "recognizer", report)


def train_decoder(recipes: Recipes, store: Path, work: Path, report: ProgressReporter) -> None:
    """Train the decoder of that codec further, in `work`/decoder."""
    outputs = StageOutputs(folder=work, recipes=recipes)
    train_codec_decoder(
        recipes.decoder,
        outputs.codec("codec"),
        outputs.recognizer(),
        SpeechStore(list_shards(store)),
        work / "decoder",
        report,
    )


def export_codec(recipes: Recipes, work: Path, model: Path) -> None:
    """Write the trained codec into a model folder, in place of its discrete VAE."""
    codec = StageOutputs(folder=work, recipes=recipes).codec()
    codec.mel_norms.copy_(load_mel_stats(model).norms)
    save_network(model, "dvae", codec, codec.config, torch.float16)


def _play(path: Path, speed: float) -> Utterance:
    clip = read_clip(path)
    rate = round(clip.sample_rate * speed)
    wave = Clip(wave=clip.wave, sample_rate=rate).resample(clip.sample_rate).wave
    labels = path.with_name(path.stem + PHONES_SUFFIX)
    phones = json.loads(labels.read_text("utf-8")) if labels.exists() else []
    speaker = f"{path.stem.split('-')[0]}@{speed}"
    return Utterance(
        name=f"{path.stem}@{speed}",
        clips={speaker: Clip(wave=wave, sample_rate=clip.sample_rate)},
        phones=[PhoneSpan(phone=phone, end_s=end / speed) for phone, end in phones],
    )


def _read_sentences(corpus: Path, rows: Sequence[CorpusRow]) -> Iterator[Utterance]:
    for sentence, versions in groupby(rows, key=lambda row: row.sentence):
        parallel = list(versions)
        clips = {
            row.speaker: Clip(
                wave=torch.from_numpy(read_wave(corpus, row).astype("float32")) / 32768,
                sample_rate=SAMPLE_RATE,
            )
            for row in parallel
        }
        yield Utterance(name=str(sentence), clips=clips, phones=list_teacher_spans(parallel[0]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one step named on the command line."""
    cli = argparse.ArgumentParser(prog="recipes.build_codec", description=__doc__)
    cli.add_argument("step", choices=["recordings", "teacher", "train", "export"])
    cli.add_argument("folders", type=Path, nargs="*", help="recordings, a corpus, or a model")
    cli.add_argument("--store", type=Path, help="prepared speech")
    cli.add_argument("--work", type=Path, help="work folder of the training")
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(1)
    recipes, report = Recipes(), ProgressReporter(ProgressPrinter())
    if parsed.step == "recordings":
        add_recordings(parsed.folders, parsed.store, report)
    elif parsed.step == "teacher":
        add_teacher_shards(parsed.folders[0], parsed.store, report)
    elif parsed.step == "export":
        export_codec(recipes, parsed.work, parsed.folders[0])
    else:
        for train in (train_codec, train_recognizer, train_decoder):
            train(recipes, parsed.store, parsed.work, report)


if __name__ == "__main__":
    main()

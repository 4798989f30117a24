"""Make the dataset of the synthesizer from the teacher's corpus: mels, phonemes, alignments.

    python -m recipes.sv2tts.synthesizer_data OUT --teacher FOLDER --speakers FOLDER --encoder FILE

Texts become phonemes by the pronunciation files of a model. The words of the teacher and their
times give each phoneme its place in the mel. Clips that are there are kept. One shard is held out.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from audio.mel import VOCODER_MEL
from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow, read_index, read_wave
from recipes.loop import ProgressPrinter
from speakers.dataset import get_feature_path, read_speaker_dataset
from speakers.embedding import load_encoder
from sv2tts.data.train_list import (
    ALIGNMENTS_DIR,
    EMBEDS_DIR,
    MELS_DIR,
    VALIDATION_FILE,
    TrainItem,
    write_train_list,
)
from sv2tts.mel import compute_vocoder_mel
from text.g2p import PUNCTUATION, SPACE
from text.tokenizer import PhonemeTokenizer, load_tokenizer

UNIT = 600  # samples of a duration of the teacher
PART_FRAMES = 400  # of 10 ms
LEAD, TAIL = 2, 4  # units of silence that stay before and after the speech
PAUSES = frozenset('_ .,?!;:—…“”"()-')
STRESS_MARKS = frozenset("ˈˌː")
HELD_OUT_SHARD = "0000.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A sound of the teacher and its time in units."""

    sound: str
    start: float
    end: float


def split_words(phonemes: str, durations: Sequence[int]) -> list[list[Span]]:
    """Return the sounds of each word; a stress mark belongs to the sound after it."""
    ends = list(itertools.accumulate(durations))
    words: list[list[Span]] = [[]]
    stressed: int | None = None
    for sound, duration, end in zip(phonemes, durations, ends, strict=True):
        if sound in PAUSES:
            words.append([])
        elif sound in STRESS_MARKS:
            stressed = end - duration if stressed is None else stressed
        else:
            start = end - duration if stressed is None else stressed
            words[-1].append(Span(sound=sound, start=start, end=end))
            stressed = None
    return [word for word in words if word]


def place_symbols(symbols: Sequence[str], words: Sequence[Sequence[Span]]) -> list[float] | None:
    """Return the start of each symbol in units, None where the words are not as many.

    symbols: of `Pronouncer.to_symbols`.
    """
    own = [
        list(group)
        for is_sound, group in itertools.groupby(symbols, lambda one: not _is_between(one))
        if is_sound
    ]
    if len(own) != len(words):
        return None
    starts: list[float] = []
    rest = iter(zip(own, words, strict=True))
    end = words[0][0].start
    for is_sound, group in itertools.groupby(symbols, lambda one: not _is_between(one)):
        if is_sound:
            sounds, word = next(rest)
            starts += _place_sounds(len(sounds), word)
            end = word[-1].end
        else:
            starts += [end for _ in group]
    return starts


def _is_between(symbol: str) -> bool:
    return symbol == SPACE or symbol in PUNCTUATION


def _place_sounds(count: int, word: Sequence[Span]) -> list[float]:
    """Spread sounds over a word: one to one, or evenly over the sounds of the teacher."""
    edges = [*(span.start for span in word), word[-1].end]
    places = np.linspace(0, len(word), count + 1)[:-1]
    return [float(value) for value in np.interp(places, np.arange(len(edges)), edges)]


def write_clip_files(
    folder: Path, teacher: Path, row: CorpusRow, symbols: Sequence[str], embed: str
) -> TrainItem | None:
    """Write mel and alignment of a clip, None where its words do not fit the text."""
    words = split_words(row.phonemes, row.durations)
    starts = place_symbols(symbols, words) if words else None
    if starts is None:
        return None
    first = max(0.0, words[0][0].start - LEAD)
    last = min(row.samples / UNIT, words[-1][-1].end + TAIL)
    name = f"{Path(row.shard).stem}-{row.start:09d}.npy"
    path = folder / MELS_DIR / name
    if path.exists():
        frames = len(np.load(path, mmap_mode="r"))
    else:
        wave = read_wave(teacher, row)[round(first * UNIT) : round(last * UNIT)]
        mel = compute_vocoder_mel(torch.from_numpy(wave.astype(np.float32) / 32_768))
        np.save(path, mel.T.numpy().astype(np.float16))
        frames = mel.shape[-1]
    hops = (np.array([*starts, words[-1][-1].end]) - first) * UNIT / VOCODER_MEL.hop
    hops[0] = 0.0  # the silence before the speech belongs to the first sound
    np.save(folder / ALIGNMENTS_DIR / name, hops.astype(np.float32))
    text = "{" + " ".join(symbols) + "}"
    samples = round((last - first) * UNIT)
    return TrainItem(audio=name, mel=name, embed=embed, samples=samples, frames=frames, text=text)


def split_features(features: np.ndarray) -> list[np.ndarray]:
    """Return the whole, and parts of 4 s that overlap by half: (f, c) each."""
    starts = range(0, len(features) - PART_FRAMES, PART_FRAMES // 2)
    return [features, *(features[start : start + PART_FRAMES] for start in starts)]


def write_voice_embeddings(folder: Path, speakers: Path, encoder: Path) -> dict[str, list[str]]:
    """Embed the clips of a speaker dataset, and parts of them; returns the files of each voice."""
    network = load_encoder(encoder)
    found: dict[str, list[str]] = {}
    for speaker in read_speaker_dataset(speakers).speakers:
        for number, file in enumerate(speaker.files):
            features = np.load(get_feature_path(speakers, file))
            for part, frames in enumerate(split_features(features)):
                name = f"{speaker.id}-{number}-{part}.npy"
                np.save(folder / EMBEDS_DIR / name, network.embed_features(frames))
                found.setdefault(speaker.id, []).append(name)
    return found


def write_synthesizer_data(
    folder: Path,
    teacher: Path,
    embeds: Mapping[str, Sequence[str]],
    tokenizer: PhonemeTokenizer,
    report: ProgressReporter,
) -> int:
    """Write the files of every clip, train.txt and validation.txt; returns the clips left out."""
    for name in (MELS_DIR, ALIGNMENTS_DIR):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = read_index(teacher)
    symbols: dict[str, list[str]] = {}
    items: dict[bool, list[TrainItem]] = {True: [], False: []}
    left_out = 0
    for row in report.track(rows, "mels"):
        known = symbols.setdefault(row.text, []) or tokenizer.tokenize(row.text)
        symbols[row.text] = known
        own = embeds.get(row.speaker, ())
        embed = own[zlib.crc32(f"{row.shard} {row.start}".encode()) % len(own)] if own else ""
        item = write_clip_files(folder, teacher, row, known, embed) if embed else None
        if item is None:
            left_out += 1
        else:
            items[row.shard == HELD_OUT_SHARD].append(item)
    write_train_list(folder, items[True], VALIDATION_FILE)
    write_train_list(folder, items[False])
    return left_out


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the dataset from the command line."""
    cli = argparse.ArgumentParser(prog="recipes.sv2tts.synthesizer_data", description=__doc__)
    cli.add_argument("out", type=Path)
    cli.add_argument("--teacher", type=Path, required=True)
    cli.add_argument("--speakers", type=Path, required=True, help="made by speaker_data")
    cli.add_argument("--encoder", type=Path, required=True, help="an encoder.pt")
    cli.add_argument("--pronunciation", type=Path, default=Path("models/starter"))
    parsed = cli.parse_args(arguments)
    (parsed.out / EMBEDS_DIR).mkdir(parents=True, exist_ok=True)
    embeds = write_voice_embeddings(parsed.out, parsed.speakers, parsed.encoder)
    tokenizer = load_tokenizer(parsed.pronunciation)
    assert isinstance(tokenizer, PhonemeTokenizer)  # the starter's kind
    report = ProgressReporter(ProgressPrinter())
    left_out = write_synthesizer_data(parsed.out, parsed.teacher, embeds, tokenizer, report)
    sys.stderr.write(f"{left_out} clips left out\n")


if __name__ == "__main__":
    main()

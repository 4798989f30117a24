"""Make a synthesizer dataset from recordings with texts: waves, mels, a list, then embeddings.

Shapes: n samples, f frames, m mel bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
import torch

from audio.clip import ClipError
from audio.io import read_clip
from core.files import atomic_path
from core.progress import ProgressReporter
from speakers.modules.silence import WINDOW_SAMPLES, find_speech_windows
from sv2tts.checkpoints import read_config
from sv2tts.data.log_mmse import denoise_log_mmse, profile_noise
from sv2tts.data.silences import MIN_UTTERANCE_S, find_silences, split_at_silences
from sv2tts.data.train_list import (
    AUDIO_DIR,
    EMBEDS_DIR,
    MELS_DIR,
    TrainItem,
    load_audio,
    read_train_list,
    write_train_list,
)
from sv2tts.front_end import FrontEnd, LetterFrontEnd, load_front_end
from sv2tts.mel import MEL_FORMATS, PEAK, SYNTHESIZER_MEL, MelKind

SAMPLE_RATE = SYNTHESIZER_MEL.sample_rate  # of the waves of a dataset
MAX_FRAMES = 900
MIN_NOISE_S = 0.02
SPEECH_RMS = 0.08  # of recordings for the 24 kHz mel, as of the voices of the starter

Embed = Callable[[np.ndarray], np.ndarray]
"""A wave (n,) at 16 kHz to a speaker embedding (s,). Raises ClipError without speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordAlignment:
    """Words with the times at which they end, in seconds; "" is a silence, as first and last."""

    words: tuple[str, ...]
    end_times: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUtterance:
    """A recording with its text. name: unique in the dataset, of the files that it becomes."""

    path: Path
    name: str
    text: str
    alignment: WordAlignment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessOptions:
    """trim: shorten pauses; skip_existing: keep what an earlier run made.

    mel, front_end: how the synthesizer that is to be trained reads sound and text.
    """

    trim: bool = True
    skip_existing: bool = False
    max_frames: int = MAX_FRAMES
    mel: MelKind = "published"
    front_end: FrontEnd = field(default_factory=LetterFrontEnd)

    @property
    def sample_rate(self) -> int:
        """The rate of the mel's waves."""
        return MEL_FORMATS[self.mel].spec.sample_rate


def adopt_model_format(options: PreprocessOptions, model: Path) -> PreprocessOptions:
    """Return options with mel and text of the synthesizer of a model folder.

    Raises ModelFileError.
    """
    config = read_config(model)
    spec = MEL_FORMATS[config.mel].spec
    published = SYNTHESIZER_MEL.hop / SYNTHESIZER_MEL.sample_rate  # seconds of a frame
    return replace(
        options,
        mel=config.mel,
        front_end=load_front_end(model, config.symbols),
        max_frames=round(options.max_frames * published * spec.sample_rate / spec.hop),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessResult:
    """items: of the dataset; left_out: recording, or name of a part of one -> the reason."""

    items: tuple[TrainItem, ...]
    left_out: dict[str, str]


def load_wave(path: Path, mel: MelKind = "published") -> np.ndarray:
    """Read a recording at the level and the rate of a mel: (n,). Raises ClipError.

    The published one has a peak of 0.9 at 16 kHz.
    """
    clip = read_clip(path)
    rate = MEL_FORMATS[mel].spec.sample_rate
    wave = _resample(clip.wave.numpy(), clip.sample_rate, rate)
    peak = np.abs(wave).max()
    if peak == 0:
        return wave
    if mel == "published":
        return wave / peak * np.float32(PEAK)
    return wave * np.float32(min(SPEECH_RMS / np.sqrt(np.mean(wave**2)), PEAK / peak))


def shorten_pauses(wave: np.ndarray, rate: int) -> np.ndarray:
    """Leave out the windows that `trim_silence` leaves out at 16 kHz: (n,) of any rate."""
    mask = find_speech_windows(_resample(wave, rate, SAMPLE_RATE))
    kept = np.repeat(mask, WINDOW_SAMPLES * rate // SAMPLE_RATE)
    return wave[: len(kept)][kept[: len(wave)]]


def prepare_wave(wave: np.ndarray, options: PreprocessOptions) -> tuple[np.ndarray, np.ndarray]:
    """Return the wave (n,) of an utterance, pauses shortened, and its mel (f, m).

    Raises ClipError for one that is too short or too long to train on.
    """
    rate = options.sample_rate
    if options.trim:
        wave = shorten_pauses(wave, rate)
    if len(wave) < MIN_UTTERANCE_S * rate:
        raise ClipError(
            f"{len(wave) / rate:.1f} s of speech; at least {MIN_UTTERANCE_S} s are needed"
        )
    mel = MEL_FORMATS[options.mel].compute(torch.from_numpy(wave)).T.numpy().astype(np.float32)
    if len(mel) > options.max_frames:
        raise ClipError(
            f"{len(mel)} mel frames ({len(wave) / rate:.1f} s); at most "
            f"{options.max_frames} can be trained on. Split the recording"
        )
    return wave, mel


def split_recording(
    wave: np.ndarray, alignment: WordAlignment, rate: int = SAMPLE_RATE
) -> list[tuple[np.ndarray, str]]:
    """Split a wave (n,) at its silences, after reducing the noise that they hold."""
    breaks = find_silences(alignment.words, alignment.end_times)
    ends = alignment.end_times
    spans = [(ends[position - 1] if position else 0.0, ends[position]) for position in breaks]
    noise = np.concatenate([wave[int(start * rate) : int(stop * rate)] for start, stop in spans])
    if len(noise) > MIN_NOISE_S * rate and np.any(noise):
        wave = denoise_log_mmse(wave, profile_noise(noise, rate), eta=0.0)
    return [
        (wave[int(one.start * rate) : int(one.end * rate)], one.text)
        for one in split_at_silences(alignment.words, alignment.end_times)
    ]


def preprocess(
    sources: Sequence[SourceUtterance],
    folder: Path,
    options: PreprocessOptions,
    report: ProgressReporter,
) -> PreprocessResult:
    """Write waves, mels and train.txt; a second run with skip_existing goes on where it ended."""
    for name in (MELS_DIR, AUDIO_DIR, EMBEDS_DIR):
        (folder / name).mkdir(parents=True, exist_ok=True)
    known = {}
    if options.skip_existing and (folder / "train.txt").is_file():
        known = {
            item.audio: item for item in read_train_list(folder) if _fits(folder, item, options)
        }
    items: list[TrainItem] = []
    left_out: dict[str, str] = {}
    for source in report.track(sources, "preprocess"):
        try:
            parts = _split(source, options.mel)
        except (ClipError, OSError, ValueError) as error:
            left_out[str(source.path)] = str(error)
            continue
        for part in parts:
            try:
                item = known.get(f"audio-{part.name}.npy") or _write(folder, part, options)
                items.append(item)
            except ClipError as error:
                left_out[str(source.path) if len(parts) == 1 else part.name] = str(error)
        if len(items) % 100 == 1:
            write_train_list(folder, items)
    write_train_list(folder, items)
    return PreprocessResult(items=tuple(items), left_out=left_out)


def embed_dataset(
    folder: Path, embed: Embed, report: ProgressReporter, *, skip_existing: bool = False
) -> dict[str, str]:
    """Embed each utterance of a dataset with itself; returns the ones that have no speech."""
    left_out = {}
    for item in report.track(read_train_list(folder), "embed"):
        path = folder / EMBEDS_DIR / item.embed
        if skip_existing and path.is_file():
            continue
        try:
            _save(path, embed(load_audio(folder, item).numpy()))
        except ClipError as error:
            left_out[item.audio] = str(error)
    return left_out


def read_alignments(path: Path) -> dict[str, WordAlignment]:
    """Read a LibriSpeech alignment file: utterance, ",WORD,…,", "time,time,…" on each line."""
    alignments = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        columns = line.split(" ")
        if not line.strip():
            continue
        if len(columns) != 3:
            raise ValueError(f'{path}, line {number}: expected name "words" "times".')
        words = tuple(columns[1].strip('"').split(","))
        times = tuple(float(time) for time in columns[2].strip('"').split(","))
        alignments[columns[0]] = WordAlignment(words=words, end_times=times)
    return alignments


class _Part(NamedTuple):
    """A recording or a part of it. wave: (n,) at the rate of the mel."""

    name: str
    wave: np.ndarray
    text: str


def _resample(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    return np.asarray(soxr.resample(wave, rate, wanted, "HQ"), np.float32)


def _fits(folder: Path, item: TrainItem, options: PreprocessOptions) -> bool:
    """Return whether what an earlier run made of an utterance is what these options make."""
    is_phonemes = not isinstance(options.front_end, LetterFrontEnd)
    try:
        shape = np.load(folder / MELS_DIR / item.mel, mmap_mode="r").shape  # reads the header only
    except (OSError, ValueError, EOFError):
        return False
    bands = MEL_FORMATS[options.mel].spec.bands
    return item.text.startswith("{") == is_phonemes and shape[1:] == (bands,)


def _split(source: SourceUtterance, mel: MelKind) -> list[_Part]:
    wave = load_wave(source.path, mel)
    rate = MEL_FORMATS[mel].spec.sample_rate
    if source.alignment is None:
        return [_Part(source.name, wave, source.text)]
    return [
        _Part(f"{source.name}_{number:02d}", part, text)
        for number, (part, text) in enumerate(split_recording(wave, source.alignment, rate))
    ]


def _write(folder: Path, part: _Part, options: PreprocessOptions) -> TrainItem:
    name = part.name
    wave, mel = prepare_wave(part.wave, options)
    wave = _resample(wave, options.sample_rate, SAMPLE_RATE)
    _save(folder / AUDIO_DIR / f"audio-{name}.npy", wave)
    _save(folder / MELS_DIR / f"mel-{name}.npy", mel)
    return TrainItem(
        audio=f"audio-{name}.npy",
        mel=f"mel-{name}.npy",
        embed=f"embed-{name}.npy",
        samples=len(wave),
        frames=len(mel),
        text=options.front_end.to_training_text(part.text),
    )


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as part, part.open("wb") as file:
        np.save(file, np.asarray(array, dtype=np.float32))

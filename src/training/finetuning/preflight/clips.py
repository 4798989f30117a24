"""Inspect the clips of a dataset: which are used for training, which are skipped and why. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tortoise.generation.text_length import TortoiseTextAnalyzer
from training.dataset_prep.manifest import AUDIO_DIR, ManifestError, read_clip_list
from training.finetuning.config.facts import DatasetFacts, ModelFacts
from training.finetuning.config.schema import DatasetConfig

if TYPE_CHECKING:
    import soundfile

MIN_CODES = 12
"""About half a second."""
SAMPLE_RATE_RANGE = (8_000, 384_000)  # Hz, as audio.io takes them
SILENCE_PEAK = 10 ** (-70 / 20)  # as in audio.io
BLOCK_SAMPLES = 1 << 16  # samples
AUDIO_SUFFIXES = (".wav", ".flac")
AUDIO_DIRS = (AUDIO_DIR, "wavs")  # of this program, and of LJSpeech

PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "have no audio file",
        "unreadable": "have an audio file that cannot be read",
        "silent": "are silent",
        "too_short": "are shorter than half a second",
        "too_long": "are longer than this model can generate at once",
        "no_text": "have no text that this model can read",
        "much_text": "have more text than this model can read at once",
    }
)
"""Why clips are skipped, in words that follow "3 clips"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """One line of train.txt or validation.txt.

    audio: as in the line;  path: of the audio file;  problem: a key of PROBLEMS, or "";
    unknown: words and symbols that the tokenizer drops.
    """

    audio: str
    text: str
    path: Path | None = None
    seconds: float = 0.0
    tokens: int = 0
    codes: int = 0
    problem: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedClips:
    """All lines of a dataset. left_out: the clips of both lists with a problem."""

    train: tuple[ClipFacts, ...]
    validation: tuple[ClipFacts, ...]
    left_out: tuple[ClipFacts, ...] = ()

    def to_dataset_facts(self, name: str) -> DatasetFacts:
        """Summarise the clips that are used."""
        train = self.train
        return DatasetFacts(
            name=name,
            clips=len(train),
            validation_clips=len(self.validation),
            seconds=sum(clip.seconds for clip in train),
            validation_s=sum(clip.seconds for clip in self.validation),
            longest_s=max((clip.seconds for clip in train), default=0.0),
            codes=max((clip.codes for clip in train), default=0),
            tokens=max((clip.tokens for clip in train), default=0),
        )


def inspect_clips(
    folder: Path, choice: DatasetConfig, bundle: ModelFacts, measure: TortoiseTextAnalyzer
) -> InspectedClips:
    """Inspect every line of both lists; the validation list may be missing.

    Raises ManifestError where a list cannot be read, or names a file outside the dataset.
    """
    train = _inspect_list(folder, choice.train, bundle, measure)
    is_there = (folder / choice.validation).exists()
    validation = _inspect_list(folder, choice.validation, bundle, measure) if is_there else []
    return InspectedClips(
        train=tuple(clip for clip in train if not clip.problem),
        validation=tuple(clip for clip in validation if not clip.problem),
        left_out=tuple(clip for clip in (*train, *validation) if clip.problem),
    )


def find_audio(folder: Path, named: str) -> Path | None:
    """Find the audio file of a line, whose suffix and folder are optional.

    Raises ManifestError for a path that leads out of the dataset.
    """
    if Path(named).is_absolute() or ".." in Path(named).parts or "\0" in named:
        raise ManifestError(f"{named!r} is outside of {folder}. Copy the audio into the dataset.")
    bare = [f"{named}{suffix}" for suffix in AUDIO_SUFFIXES]
    places = (named, *bare, *(f"{sub}/{name}" for sub in AUDIO_DIRS for name in (named, *bare)))
    return next((folder / place for place in places if (folder / place).is_file()), None)


def _inspect_list(
    folder: Path, lines: str, bundle: ModelFacts, measure: TortoiseTextAnalyzer
) -> list[ClipFacts]:
    return [
        _inspect_clip(folder, audio, text, bundle, measure)
        for audio, text in read_clip_list(folder / lines)
    ]


def _inspect_clip(
    folder: Path, audio: str, text: str, bundle: ModelFacts, measure: TortoiseTextAnalyzer
) -> ClipFacts:
    path = find_audio(folder, audio)
    if path is None:
        return ClipFacts(audio=audio, text=text, problem="missing")
    seconds, problem = _inspect_audio(path)
    samples = round(seconds * bundle.gpt_rate)
    codes = samples // bundle.samples_per_code + 1
    if not problem and samples < MIN_CODES * bundle.samples_per_code:
        problem = "too_short"
    elif not problem and codes > bundle.max_clip_codes:
        problem = "too_long"
    tokens = measure.count_tokens(text)
    return ClipFacts(
        audio=audio,
        text=text,
        path=path,
        seconds=seconds,
        tokens=tokens,
        codes=codes,
        problem=problem or _find_text_problem(tokens, bundle.max_text_tokens),
        unknown=measure.find_unknown(text),
    )


def _inspect_audio(path: Path) -> tuple[float, str]:
    """Return the duration of a file and its problem."""
    import soundfile  # imports numpy, which most commands do not need

    try:
        with soundfile.SoundFile(path) as file:
            if file.frames and SAMPLE_RATE_RANGE[0] <= file.samplerate <= SAMPLE_RATE_RANGE[1]:
                return file.frames / file.samplerate, _find_audio_problem(file)
    except (soundfile.SoundFileError, OSError):
        pass  # unreadable
    return 0.0, "unreadable"


def _find_audio_problem(file: soundfile.SoundFile) -> str:
    """Return the problem of the samples of a file; stop reading at the first sound."""
    import numpy as np

    while len(block := file.read(BLOCK_SAMPLES, dtype="float32")):
        if not np.isfinite(block).all():
            return "unreadable"
        if np.abs(block).max() >= SILENCE_PEAK:
            return ""
    return "silent"


def _find_text_problem(tokens: int, most: int) -> str:
    if not tokens:
        return "no_text"
    return "much_text" if tokens > most else ""

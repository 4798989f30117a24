"""How a spoken sentence sounds to a machine: are the words there, and is it the right voice?

    judge = Judge.of(clips_of_the_speaker, language="en")
    judge.words(clip, "The river ran high.")     0.0 where every word is understood
    judge.voice(clip)                            0.85 and above: the same voice

Words are counted by PocketSphinx, which is in the program and reads English only. Voices are
compared by Resemblyzer (Wan and others, arXiv:1710.10467), an extra. What cannot be judged is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.clip import Clip, ClipError
from audio.io import read_clip
from training.asr.base import SAMPLE_RATE
from training.dataset_prep.manifest import ManifestError, read_clip_list, read_dataset
from training.finetuning.config.schema import DatasetConfig
from training.finetuning.preflight.clips import find_audio

RESEMBLYZER = "resemblyzer"
MAX_SPEAKER_CLIPS = 12
"""Of the speaker: more do not change what they sound like together."""
NO_WER_NOTE = "its words are not counted (English with PocketSphinx only)"
NO_SIMILARITY_NOTE = "its voice is not compared (Resemblyzer does that, see requirements-extra.txt)"
MIN_VOICED_S = 0.5  # of voiced sound, below which an encoder only guesses

SpeakerEmbedder = Callable[[Clip], "NDArray[np.float32] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvaluator:
    """Whoever judges samples. note: what it cannot judge and why, "" where it judges all."""

    can_transcribe: bool
    embed: SpeakerEmbedder | None
    speaker_embedding: NDArray[np.float32] | None  # (d,) of unit length
    note: str = ""

    @classmethod
    def from_clips(cls, clips: Sequence[Clip], *, language: str = "en") -> SampleEvaluator:
        """Get ready to compare with a speaker.  clips: of that speaker, as they are."""
        hears = language.lower().startswith("en") and find_spec("pocketsphinx") is not None
        embed = load_speaker_encoder()
        speaker = (
            None
            if embed is None
            else _mean_embedding([embed(clip) for clip in clips[:MAX_SPEAKER_CLIPS]])
        )
        missing = [
            *(() if hears else (NO_WER_NOTE,)),
            *(() if embed else (NO_SIMILARITY_NOTE,)),
        ]
        note = f"The sample is not fully judged: {'; '.join(missing)}." if missing else ""
        return cls(can_transcribe=hears, embed=embed, speaker_embedding=speaker, note=note)

    def compute_wer(self, clip: Clip, text: str) -> float | None:
        """Return the share of words that are wrong, 0 to 1; None where nobody can say."""
        if not self.can_transcribe:
            return None
        doubt = import_module("training.asr.wer").compute_pocketsphinx_wer
        wrong: float | None = doubt(clip.resample(SAMPLE_RATE).wave, text)
        return None if wrong is None else min(1.0, wrong)

    def compute_similarity(self, clip: Clip) -> float | None:
        """Return how alike the voices are, 1 is the same; None where nobody can say."""
        if self.embed is None or self.speaker_embedding is None:
            return None
        heard = self.embed(clip)
        return 0.0 if heard is None else float(heard @ self.speaker_embedding)


def load_speaker_encoder() -> SpeakerEmbedder | None:
    """Return what turns a clip into a vector of unit length, or None where it is not installed.

    It gives None for a clip in which too little is spoken.
    """
    if find_spec(RESEMBLYZER) is None:
        return None
    try:
        package = import_module(RESEMBLYZER)
        encoder = package.VoiceEncoder("cpu", verbose=False)
    except (
        ImportError,
        OSError,
        RuntimeError,
    ):  # a package of it that is broken is as good as none
        return None

    def embed(clip: Clip) -> NDArray[np.float32] | None:
        wave = package.preprocess_wav(clip.wave.numpy(), source_sr=clip.sample_rate)
        if len(wave) < MIN_VOICED_S * SAMPLE_RATE:
            return None
        vector: NDArray[np.float32] = encoder.embed_utterance(wave)
        return vector

    return embed


def _mean_embedding(vectors: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    heard = [vector for vector in vectors if vector is not None]
    if not heard:
        return None
    mean = np.mean(heard, axis=0)
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


SampleScorer = Callable[[Path, str], tuple[float | None, float | None]]
"""Say of a spoken file and its text: the share of wrong words, and the likeness to the voice."""


def create_sample_scorer(
    dataset: Path, choice: DatasetConfig, note: Callable[[str], None]
) -> SampleScorer:
    """Judge with what is installed, made ready when first asked; notes what cannot be judged."""

    @cache
    def judge() -> SampleEvaluator:
        language = "en"
        with suppress(ManifestError):
            language = read_dataset(dataset).language
        ready = SampleEvaluator.from_clips(
            _read_reference_clips(dataset, choice), language=language
        )
        if ready.note:
            note(ready.note)
        return ready

    def score(path: Path, text: str) -> tuple[float | None, float | None]:
        clip = read_clip(path)
        return judge().compute_wer(clip, text), judge().compute_similarity(clip)

    return score


def _read_reference_clips(dataset: Path, choice: DatasetConfig) -> list[Clip]:
    """A few clips of the dataset, as far as they are still there."""
    with suppress(ManifestError):
        lines = read_clip_list(dataset / choice.train)[:MAX_SPEAKER_CLIPS]
        found = [find_audio(dataset, named) for named, _ in lines]
        return [clip for audio in found if audio and (clip := _try_read_clip(audio))]
    return []


def _try_read_clip(audio: Path) -> Clip | None:
    try:
        return read_clip(audio)
    except (ClipError, OSError):
        return None

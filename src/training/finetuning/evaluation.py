"""Score a synthesized sample: word error rate and speaker similarity.

    evaluator = SampleEvaluator.from_clips(clips_of_the_speaker, language="en")
    evaluator.compute_wer(clip, "The river ran high.")     0.0 where every word is recognised
    evaluator.compute_similarity(clip)                     0.85 and above: the same voice

Words are recognised by PocketSphinx, which reads English only. Voices are compared by a speaker
encoder (arXiv:1710.10467): Resemblyzer's, or where that is not installed the one built in. A score
that cannot be computed is None.
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
from speakers.embedding import Encoder, load_encoder, mean_embedding
from speakers.likeness import BUILT_IN_NAME
from speakers.modules.checkpoints import EncoderFileError
from training.asr.base import SAMPLE_RATE
from training.dataset_prep.manifest import ManifestError, read_clip_list, read_dataset
from training.finetuning.config.schema import DatasetConfig
from training.finetuning.preflight.clips import find_audio

MAX_SPEAKER_CLIPS = 12
"""Maximum of reference clips; more do not change the mean embedding noticeably."""
NO_WER_NOTE = "no word error rate (English with PocketSphinx only)"
NO_SIMILARITY_NOTE = "no speaker similarity (needs Resemblyzer, see requirements-extra-no-deps.txt)"
BUILT_IN_NOTE = (
    "Speaker similarity is measured by the built-in encoder. Resemblyzer is more accurate, see "
    "requirements-extra-no-deps.txt."
)
MIN_VOICED_S = 0.5  # of voiced audio; with less an embedding is noise


class SpeakerEmbedder:
    """From a clip to an embedding of unit length, or None for one with too little speech.

    encoder: the name of the encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.encoder = encoder.name

    def __call__(self, clip: Clip) -> NDArray[np.float32] | None:
        rate = self._encoder.feature_config.sample_rate
        try:
            wave = self._encoder.prepare_wave(clip.resample(rate).wave.numpy())
        except ClipError:
            return None
        if len(wave) < MIN_VOICED_S * rate:
            return None
        return mean_embedding(self._encoder.embed_partials(wave).embeddings)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvaluator:
    """Scores samples. note: which scores it cannot compute and why, or ""."""

    can_transcribe: bool
    embed: SpeakerEmbedder | None
    speaker_embedding: NDArray[np.float32] | None  # (d,) of unit length
    note: str = ""

    @classmethod
    def from_clips(cls, clips: Sequence[Clip], *, language: str = "en") -> SampleEvaluator:
        """Load the encoder and embed the clips of a speaker."""
        can_transcribe = language.lower().startswith("en") and find_spec("pocketsphinx") is not None
        embed = load_speaker_encoder()
        speaker = (
            None
            if embed is None
            else _mean_of_usable([embed(clip) for clip in clips[:MAX_SPEAKER_CLIPS]])
        )
        missing = [
            *(() if can_transcribe else (NO_WER_NOTE,)),
            *(() if embed else (NO_SIMILARITY_NOTE,)),
        ]
        notes = [f"The sample is not fully scored: {'; '.join(missing)}."] if missing else []
        if embed is not None and embed.encoder == BUILT_IN_NAME:
            notes.append(BUILT_IN_NOTE)
        note = " ".join(notes)
        return cls(can_transcribe=can_transcribe, embed=embed, speaker_embedding=speaker, note=note)

    def compute_wer(self, clip: Clip, text: str) -> float | None:
        """Return the word error rate, 0 to 1."""
        if not self.can_transcribe:
            return None
        compute = import_module("training.asr.wer").compute_pocketsphinx_wer
        wer: float | None = compute(clip.resample(SAMPLE_RATE).wave, text)
        return None if wer is None else min(1.0, wer)

    def compute_similarity(self, clip: Clip) -> float | None:
        """Return the cosine similarity of the speaker embeddings."""
        if self.embed is None or self.speaker_embedding is None:
            return None
        found = self.embed(clip)
        return 0.0 if found is None else float(found @ self.speaker_embedding)


def load_speaker_encoder() -> SpeakerEmbedder | None:
    """Load Resemblyzer's encoder, or the built-in one; None where it cannot be loaded."""
    try:
        return SpeakerEmbedder(load_encoder())
    except (EncoderFileError, OSError):  # a broken installation
        return None


def _mean_of_usable(vectors: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    found = [vector for vector in vectors if vector is not None]
    return mean_embedding(np.stack(found)) if found else None


SampleScorer = Callable[[Path, str], tuple[float | None, float | None]]
"""From an audio file and its text to word error rate and speaker similarity."""


def create_sample_scorer(
    dataset: Path, choice: DatasetConfig, note: Callable[[str], None]
) -> SampleScorer:
    """Create a scorer that loads its models at the first call.

    note: called with missing metrics.
    """

    @cache
    def load() -> SampleEvaluator:
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
        return load().compute_wer(clip, text), load().compute_similarity(clip)

    return score


def _read_reference_clips(dataset: Path, choice: DatasetConfig) -> list[Clip]:
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

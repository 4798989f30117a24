"""How a spoken sentence sounds to a machine: are the words there, and is it the right voice?

    judge = Judge.of(clips_of_the_speaker, language="en")
    judge.words(clip, "The river ran high.")     0.0 where every word is understood
    judge.voice(clip)                            0.85 and above: the same voice

Words are counted by PocketSphinx, which is in the program and reads English only. Voices are
compared by Resemblyzer (Wan and others, arXiv:1710.10467), an extra. What cannot be judged is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from speech.clip import Clip
from training.transcribe.base import RATE

RESEMBLYZER = "resemblyzer"
MOST_CLIPS = 12
"""Of the speaker: more do not change what they sound like together."""
UNHEARD = "its words are not counted (English with PocketSphinx only)"
UNCOMPARED = "its voice is not compared (Resemblyzer does that, see requirements-extra.txt)"
LEAST_S = 0.5  # of voiced sound, below which an encoder only guesses

Embed = Callable[[Clip], "NDArray[np.float32] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Whoever judges samples. note: what it cannot judge and why, "" where it judges all."""

    hears: bool
    embed: Embed | None
    speaker: NDArray[np.float32] | None  # (d,) of unit length
    note: str = ""

    @classmethod
    def of(cls, clips: Sequence[Clip], *, language: str = "en") -> Judge:
        """Get ready to compare with a speaker.  clips: of that speaker, as they are."""
        hears = language.lower().startswith("en") and find_spec("pocketsphinx") is not None
        embed = load_encoder()
        speaker = None if embed is None else _mean([embed(clip) for clip in clips[:MOST_CLIPS]])
        missing = [
            *(() if hears else (UNHEARD,)),
            *(() if embed else (UNCOMPARED,)),
        ]
        note = f"The sample is not fully judged: {'; '.join(missing)}." if missing else ""
        return cls(hears=hears, embed=embed, speaker=speaker, note=note)

    def words(self, clip: Clip, text: str) -> float | None:
        """Return the share of words that are wrong, 0 to 1; None where nobody can say."""
        if not self.hears:
            return None
        doubt = import_module("training.transcribe.doubt").doubt
        wrong: float | None = doubt(clip.resampled(RATE).wave, text)
        return None if wrong is None else min(1.0, wrong)

    def voice(self, clip: Clip) -> float | None:
        """Return how alike the voices are, 1 is the same; None where nobody can say."""
        if self.embed is None or self.speaker is None:
            return None
        heard = self.embed(clip)
        return 0.0 if heard is None else float(heard @ self.speaker)


def load_encoder() -> Embed | None:
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
        if len(wave) < LEAST_S * RATE:
            return None
        vector: NDArray[np.float32] = encoder.embed_utterance(wave)
        return vector

    return embed


def _mean(vectors: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    heard = [vector for vector in vectors if vector is not None]
    if not heard:
        return None
    mean = np.mean(heard, axis=0)
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None

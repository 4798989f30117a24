"""Check that an utterance holds its speaker only, by the diary and by the voice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from audio.clip import ClipError
from training.gold.diarization.clustering import Embed
from training.gold.diary import Turn
from training.gold.utterances import Utterance

MIN_MARGIN = -0.05  # of the likeness to the own speaker; short parts vary by so much
WINDOW_S = 1.2
MAX_OTHER_S = 0.2

CutWave = Callable[[float, float], np.ndarray]
"""Returns the samples between two times, at 16 kHz."""


def measure_voices(
    utterances: Sequence[Utterance], wave: CutWave, embed: Embed
) -> dict[str, np.ndarray]:
    """Return the mean embedding of each speaker's utterances."""
    voices: dict[str, list[np.ndarray]] = {}
    for one in utterances:
        voices.setdefault(one.speaker, []).append(embed(wave(one.start, one.stop)))
    means = {name: np.mean(vectors, axis=0) for name, vectors in voices.items()}
    return {name: mean / max(float(np.linalg.norm(mean)), 1e-9) for name, mean in means.items()}


def check_voice(
    utterance: Utterance,
    diary: Sequence[Turn],
    voices: Mapping[str, np.ndarray],
    wave: CutWave,
    embed: Embed,
) -> Utterance:
    """Add a problem where another speaker is in the utterance, by diary or by voice."""
    problems = list(utterance.problems)
    others = sum(
        max(0.0, min(turn.stop, utterance.stop) - max(turn.start, utterance.start))
        for turn in diary
        if turn.speaker != utterance.speaker
    )
    if others > MAX_OTHER_S:
        problems.append(f"another speaker for {others:.1f} s")
    elif len(voices) > 1 and _has_other_voice(utterance, voices, wave, embed):
        problems.append("a part sounds like another speaker")
    return replace(utterance, problems=tuple(problems))


def _has_other_voice(
    utterance: Utterance, voices: Mapping[str, np.ndarray], wave: CutWave, embed: Embed
) -> bool:
    count = max(1, int(utterance.duration / WINDOW_S))
    edges = np.linspace(utterance.start, utterance.stop, count + 1)
    for start, stop in pairwise(edges):
        try:
            embedding = embed(wave(float(start), float(stop)))
        except ClipError:  # a pause
            continue
        own = float(embedding @ voices[utterance.speaker])
        other = max(
            float(embedding @ voice) for name, voice in voices.items() if name != utterance.speaker
        )
        if own - other < MIN_MARGIN:
            return True
    return False

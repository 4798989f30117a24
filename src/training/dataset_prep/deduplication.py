"""Find clips with the same text and audio: copies, and the same recording in another format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from audio.clip import ClipError
from audio.io import read_clip
from audio.mel import GPT_MEL, log_mel
from core.progress import ProgressReporter
from training.dataset_prep.manifest import ClipRow
from training.dataset_prep.splits import get_text_key

RELATIVE_LENGTH_TOLERANCE = 0.04  # two lengths that differ by no more may be the same
LENGTH_TOLERANCE_S = 0.15
MIN_SIMILARITY = (
    0.93  # similarity of two spectra of one recording; two readings of one text stay below 0.8
)
FRAME_SHIFTS = range(-14, 15)  # mel frames: encoders move the sound a little
SPECTRUM_CACHE_SIZE = 64  # spectra held


def find_duplicates(clips: Sequence[ClipRow], folder: Path, report: ProgressReporter) -> set[str]:
    """Return the ids of all but the first of equal clips; edited ones are kept.

    folder: of the dataset.
    """

    @lru_cache(maxsize=SPECTRUM_CACHE_SIZE)
    def spectrum(file: str) -> Tensor | None:
        try:
            return log_mel(read_clip(folder / file).wave, GPT_MEL)[0]
        except (ClipError, ValueError):
            return None

    gone: set[str] = set()
    for one, other in report.track(list(_find_candidate_pairs(clips)), "comparing"):
        if {one.id, other.id} & gone or other.edited:
            continue
        if one.sound == other.sound != "" or _is_same_recording(one, other, spectrum):
            gone.add(other.id)
    return gone


def compute_spectral_similarity(one: Tensor, other: Tensor) -> float:
    """Return the similarity of two spectra, 0 to 1, at their best shift.

    one, other: (c, f) log-mel.
    """
    return max(_correlation(one, other, shift) for shift in FRAME_SHIFTS)


def _find_candidate_pairs(clips: Sequence[ClipRow]) -> Iterator[tuple[ClipRow, ClipRow]]:
    """Yield pairs of kept clips that may be equal, the earlier one first."""
    by_sound: dict[str, list[ClipRow]] = {}
    by_text: dict[str, list[ClipRow]] = {}
    for clip in clips:
        if clip.kept:
            by_text.setdefault(get_text_key(clip.text), []).append(clip)
            by_sound.setdefault(clip.sound or clip.id, []).append(clip)
    groups: Mapping[str, list[ClipRow]] = {f"sound {k}": v for k, v in by_sound.items()}
    for group in [*groups.values(), *by_text.values()]:
        for one, other in combinations(group, 2):
            if (
                abs(one.seconds - other.seconds)
                <= LENGTH_TOLERANCE_S + RELATIVE_LENGTH_TOLERANCE * one.seconds
            ):
                yield one, other


def _is_same_recording(
    one: ClipRow, other: ClipRow, spectrum: Callable[[str], Tensor | None]
) -> bool:
    first, second = spectrum(one.file), spectrum(other.file)
    return (
        first is not None
        and second is not None
        and compute_spectral_similarity(first, second) >= MIN_SIMILARITY
    )


def _correlation(one: Tensor, other: Tensor, shift: int) -> float:
    first = one[:, max(0, shift) :]
    second = other[:, max(0, -shift) :]
    frames = min(first.shape[1], second.shape[1])
    if frames < 2:
        return 0.0
    pair = torch.stack([first[:, :frames].flatten(), second[:, :frames].flatten()])
    return float(torch.corrcoef(pair)[0, 1].nan_to_num(0.0))

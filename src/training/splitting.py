"""Which clips are learned from and which only judge: drawn by a seed, no text in both."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from training.manifest import ClipRow

STAYING = 2  # texts that are always learned from


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Clips with their parts, in the order in which they came;  told: what was done, for people."""

    clips: tuple[ClipRow, ...]
    told: str


def split_clips(clips: Sequence[ClipRow], share: float, seed: int) -> Split:
    """Draw a share of the kept clips for validation.

    Clips with the same text go together. At least one judges where there are three texts or more,
    and at least two stay to learn from, whatever the share. Dropped clips get no part.
    """
    texts: dict[str, list[str]] = {}
    for clip in clips:
        if clip.kept:
            texts.setdefault(same_text(clip.text), []).append(clip.id)
    judging = _drawn(texts, share, seed)
    parted = tuple(
        replace(clip, part=("validation" if clip.id in judging else "train") if clip.kept else "")
        for clip in clips
    )
    return Split(clips=parted, told=_told(parted, share))


def same_text(text: str) -> str:
    """Return what two texts share that differ only in case, punctuation and blanks."""
    return " ".join(re.findall(r"\w+", text.casefold().replace("'", ""))) or text


def _drawn(texts: dict[str, list[str]], share: float, seed: int) -> set[str]:
    wanted = round(share * sum(map(len, texts.values())))
    if share > 0:
        wanted = max(1, wanted)
    order = sorted(texts)
    random.Random(seed).shuffle(order)
    drawn: set[str] = set()
    for text in order[:-STAYING]:
        room = wanted - len(drawn)
        if 0 < len(texts[text]) <= room:
            drawn.update(texts[text])
    if wanted and not drawn and len(order) > STAYING:
        drawn.update(texts[min(order[:-STAYING], key=lambda text: len(texts[text]))])
    return drawn


def _told(clips: Sequence[ClipRow], share: float) -> str:
    train = sum(clip.part == "train" for clip in clips)
    judging = sum(clip.part == "validation" for clip in clips)
    if not train:
        return "No clip is left to learn from."
    told = f"{_clips(train)} to learn from, {_clips(judging)} to judge by"
    if judging:
        return f"{told}, drawn by chance; no text is in both."
    why = "none was wanted" if share <= 0 else "there are too few"
    return f"{told}: {why}. Over-fitting cannot be seen without any."


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"

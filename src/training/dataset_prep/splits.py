"""Split clips into training and validation: by a seed, with no text in both."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from training.dataset_prep.manifest import ClipRow

MIN_TRAIN_TEXTS = 2  # texts that are always learned from


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitResult:
    """The clips with their splits, in their order, and a summary."""

    clips: tuple[ClipRow, ...]
    summary: str


def split_clips(clips: Sequence[ClipRow], share: float, seed: int) -> SplitResult:
    """Draw a share of the kept clips for validation.

    Clips keep the split that they have, so that validation clips are never trained with; clips with
    the same text stay together. At least one is for validation if there are three texts, and at
    least two for training, whatever the share. Dropped clips have no split.
    """
    texts: dict[str, list[ClipRow]] = {}
    for clip in clips:
        if clip.kept:
            texts.setdefault(get_text_key(clip.text), []).append(clip)
    judging = _choose_validation_ids(texts, share, seed)
    parted = tuple(
        replace(clip, part=("validation" if clip.id in judging else "train") if clip.kept else "")
        for clip in clips
    )
    return SplitResult(clips=parted, summary=_format_summary(parted, share))


def get_text_key(text: str) -> str:
    """Normalize a text: case, punctuation and spaces are ignored."""
    return " ".join(re.findall(r"\w+", text.casefold().replace("'", ""))) or text


def _choose_validation_ids(
    texts: Mapping[str, Sequence[ClipRow]], share: float, seed: int
) -> set[str]:
    wanted = round(share * sum(map(len, texts.values())))
    wanted = max(1, wanted) if share > 0 else 0
    parts = {text: {clip.part for clip in same} for text, same in texts.items()}
    chosen = {text for text, has in parts.items() if "validation" in has and wanted}
    open_texts = [text for text, has in parts.items() if has == {""}]
    free = sorted(open_texts if chosen else texts)
    random.Random(seed).shuffle(free)
    drawn = {clip.id for text in chosen for clip in texts[text]}
    room = len(texts) - MIN_TRAIN_TEXTS
    for text in free:
        if len(chosen) < room and len(drawn) + len(texts[text]) <= wanted:
            chosen.add(text)
            drawn |= {clip.id for clip in texts[text]}
    if wanted and not drawn and room > 0:
        drawn = {clip.id for clip in texts[min(free, key=lambda text: len(texts[text]))]}
    return drawn


def _format_summary(clips: Sequence[ClipRow], share: float) -> str:
    train = sum(clip.part == "train" for clip in clips)
    judging = sum(clip.part == "validation" for clip in clips)
    if not train:
        return "No clip is left for training."
    counts = (
        f"{_format_clip_count(train)} for training, {_format_clip_count(judging)} for validation"
    )
    if judging:
        return f"{counts}, split at random; no text is in both."
    why = "the validation share is 0" if share <= 0 else "there are too few clips"
    return f"{counts}: {why}. Overfitting cannot be detected without validation clips."


def _format_clip_count(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"

"""Edit the clips of a dataset: sort by doubt, edit texts, drop, restore, merge, split. Light.

Each edit is a function from dataset to dataset; preparing again leaves edited clips alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from training.asr.base import Word, to_single_line
from training.dataset_prep.manifest import (
    CLIP_SAMPLE_RATE,
    REPLACED_REASONS,
    ClipRow,
    Dataset,
    ManifestError,
)
from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.review_audio import (
    PcmSamples,
    concatenate_with_pause,
    find_quietest_moment,
    read_samples,
    split_samples,
    write_samples,
)
from training.dataset_prep.splits import get_text_key

MAX_CLIP_S = PrepareOptions().longest_s
MAX_PAUSE_S = 1.5  # in a clip that a person joins
MIN_PART_S = 0.3  # of a part that a person cuts off
CUT_SEARCH_RADIUS_S = 0.25  # of a clip: how far from the expected place quiet is looked for
TEXT_REASONS = ("no_words", "doubtful_text", "other_language", "odd_pace")
SIZE_REASONS = ("too_long", "too_short", "too_much_text")
REASON_PENALTIES = {
    "doubtful_text": 3.0,
    "odd_pace": 2.0,
    "clipped": 1.5,
    "noisy": 1.0,
}  # of a kept clip
GOOD_SNR_DB = 30.0
TYPICAL_WORDS_PER_S = 2.6


def sort_worst_first(clips: Iterable[ClipRow]) -> list[ClipRow]:
    """Return the clips by review priority."""
    return sorted(clips, key=lambda clip: (-compute_review_priority(clip), clip.id))


def compute_review_priority(clip: ClipRow) -> float:
    """Return the priority: highest for kept and doubtful clips, lowest for edited ones."""
    if clip.reason in REPLACED_REASONS:
        return -3.0
    if clip.edited:
        return -2.0 if not clip.kept else -1.0
    worse = REASON_PENALTIES.get(clip.reason, 0.0)
    worse += 2.0 * (1.0 - (0.5 if clip.confidence is None else clip.confidence))
    worse += max(0.0, GOOD_SNR_DB - (clip.snr_db or GOOD_SNR_DB)) / GOOD_SNR_DB
    worse += 100.0 * min(0.01, clip.clipped_share or 0.0)
    pace = max(0.05, clip.words_per_s) / TYPICAL_WORDS_PER_S
    worse += min(1.5, abs(pace - 1.0)) * 0.7
    return worse if clip.kept else worse - 1.5  # dropped clips are not used


def edit_text(dataset: Dataset, id: str, text: str) -> Dataset:
    """Set the text of a clip; one that was dropped for its text is kept again."""
    clip = find_clip(dataset, id)
    clean = to_single_line(text)
    if not any(sign.isalnum() for sign in clean):
        raise ManifestError("A clip needs a transcript. Enter it, or drop the clip.")
    words = clean.split()
    times = (
        tuple(replace(old, text=new) for old, new in zip(clip.words, words, strict=True))
        if len(words) == len(clip.words)
        else ()
    )
    changed = replace(clip, text=clean, words=times, confidence=1.0, edited=True)
    if clip.reason in TEXT_REASONS:
        changed = replace(changed, reason="", kept=True)
    return _update_clips(dataset, {id: changed})


def drop_clips(dataset: Dataset, ids: Collection[str]) -> Dataset:
    """Exclude clips from training."""
    chosen = [find_clip(dataset, id) for id in ids]
    gone = {
        clip.id: replace(clip, kept=False, reason="by_hand", part="", edited=True)
        for clip in chosen
        if clip.kept
    }
    return _update_clips(dataset, gone)


def restore_clips(dataset: Dataset, ids: Collection[str]) -> Dataset:
    """Keep dropped clips again.  Raises ManifestError for one whose audio is unusable or in another
    clip.
    """
    dropped = [id for id in ids if not find_clip(dataset, id).kept]
    return accept_clips(dataset, dropped)


def accept_clips(dataset: Dataset, ids: Collection[str]) -> Dataset:
    """Mark clips as correct; those dropped as doubtful are kept again."""
    kept = {}
    for clip in (find_clip(dataset, id) for id in ids):
        if not clip.kept:
            _check_usable(dataset, clip)
        kept[clip.id] = replace(clip, kept=True, reason="", edited=True)
    return _update_clips(dataset, kept)


def find_doubtful_clips(dataset: Dataset, confidence: float) -> list[str]:
    """Return the ids of clips with a doubtful text of at least this confidence."""
    return [
        clip.id
        for clip in dataset.clips
        if clip.reason == "doubtful_text" and clip.text and (clip.confidence or 0.0) >= confidence
    ]


def merge_clips(dataset: Dataset, id: str, folder: Path) -> tuple[Dataset, str]:
    """Merge a clip with the next one of its recording; return the new id, too."""
    first = find_clip(dataset, id)
    second = _find_next_clip(dataset, first)
    pause = max(0.0, second.start_s - first.stop_s)
    seconds = first.seconds + pause + second.seconds
    if pause > MAX_PAUSE_S:
        raise ManifestError(
            f"Between {first.id} and {second.id} are {pause:.1f} s; clips with up to "
            f"{MAX_PAUSE_S} s between them can be joined."
        )
    if seconds > MAX_CLIP_S:
        raise ManifestError(
            f"{first.id} and {second.id} last {seconds:.1f} s together; the limit is "
            f"{MAX_CLIP_S} s. Cut one of them first, and join a part."
        )
    sound = concatenate_with_pause(
        read_samples(folder / first.file), read_samples(folder / second.file), pause
    )
    both = _make_merged_row(dataset, first, second, len(sound) / CLIP_SAMPLE_RATE)
    write_samples(folder / both.file, sound)
    gone = {clip.id: _mark_replaced(clip, "merged") for clip in (first, second)}
    return _update_clips(dataset, gone, [both]), both.id


def split_clip(
    dataset: Dataset, id: str, folder: Path, at_s: float | None = None, after: int | None = None
) -> tuple[Dataset, tuple[str, str]]:
    """Split a clip at a time or after some words; return the ids of the parts.

    The cut is moved into the pause between the words, if known, or to the quietest place nearby.
    """
    clip = find_clip(dataset, id)
    if clip.reason in REPLACED_REASONS:
        raise ManifestError(f"{id} is already part of other clips. Split those.")
    steps = read_samples(folder / clip.file)
    seconds = len(steps) / CLIP_SAMPLE_RATE
    count, at = _find_cut_position(clip, steps, at_s, after)
    if not MIN_PART_S <= at <= seconds - MIN_PART_S:
        raise ManifestError(
            f"Cut at {at:.2f} s, a part of {id} would be shorter than {MIN_PART_S} s. Choose a "
            "time further from its ends."
        )
    texts = clip.text.split()
    parts = [
        _make_part(clip, (0.0, at), texts[:count], clip.words[:count] if clip.words else ()),
        _make_part(clip, (at, seconds), texts[count:], clip.words[count:] if clip.words else ()),
    ]
    taken = {one.id.casefold() for one in dataset.clips}
    names = [_find_free_name(f"{clip.id}.{letter}", taken) for letter in "ab"]
    parts = [replace(part, id=name) for part, name in zip(parts, names, strict=True)]
    for part, sound in zip(parts, split_samples(steps, at), strict=True):
        write_samples(folder / part.file, sound)
    changed = _update_clips(dataset, {clip.id: _mark_replaced(clip, "split")}, parts)
    return changed, (names[0], names[1])


def find_clip(dataset: Dataset, id: str) -> ClipRow:
    """Return a clip by its id.  Raises ManifestError where there is none."""
    for clip in dataset.clips:
        if clip.id == id:
            return clip
    shown = id if len(id) <= 60 else id[:59] + "…"
    raise ManifestError(f"{dataset.name} has no clip {shown!r}. Reload the list.")


def _find_cut_position(
    clip: ClipRow, steps: PcmSamples, at_s: float | None, after: int | None
) -> tuple[int, float]:
    """Return after how many words, and at which second, a clip is split."""
    total = len(clip.text.split())
    if total < 2:
        raise ManifestError(f"{clip.id} has fewer than two words and cannot be split.")
    seconds = len(steps) / CLIP_SAMPLE_RATE
    known = len(clip.words) == total
    if after is None:
        at_s = seconds / 2 if at_s is None else at_s
        ends = (
            [word.stop_s for word in clip.words]
            if known
            else _estimate_word_ends(clip.text, seconds)
        )
        after = min(range(1, total), key=lambda count: abs(ends[count - 1] - at_s))
    if not 1 <= after < total:
        raise ManifestError(f"{clip.id} has {total} words; cut after word 1 to {total - 1}.")
    if known:
        left, right = clip.words[after - 1].stop_s, clip.words[after].start_s
        return after, find_quietest_moment(steps, left, right) if right > left else (
            left + right
        ) / 2
    near = _estimate_word_ends(clip.text, seconds)[after - 1] if at_s is None else at_s
    return after, find_quietest_moment(
        steps, near - CUT_SEARCH_RADIUS_S, near + CUT_SEARCH_RADIUS_S
    )


def _estimate_word_ends(text: str, seconds: float) -> list[float]:
    """Estimate the end of each word by its letters."""
    letters = [len(word) + 1 for word in text.split()]
    return [seconds * sum(letters[: at + 1]) / sum(letters) for at in range(len(letters))]


def _make_part(
    clip: ClipRow, times: tuple[float, float], texts: Sequence[str], words: Sequence[Word]
) -> ClipRow:
    start, stop = times
    moved = tuple(
        Word(
            text=word.text,
            start_s=round(max(0.0, word.start_s - start), 3),
            stop_s=round(min(stop - start, max(0.0, word.stop_s - start)), 3),
        )
        for word in words
    )
    return replace(
        clip,
        text=" ".join(texts),
        words=moved,
        start_s=round(clip.start_s + start, 3),
        stop_s=round(clip.start_s + stop, 3),
        kept=True,
        reason="",
        edited=True,
        sound="",
    )


def _make_merged_row(dataset: Dataset, first: ClipRow, second: ClipRow, seconds: float) -> ClipRow:
    later = max(0.0, second.start_s - first.start_s)
    moved = [
        Word(
            text=word.text,
            start_s=round(word.start_s + later, 3),
            stop_s=round(word.stop_s + later, 3),
        )
        for word in second.words
    ]
    sure = [share for share in (first.confidence, second.confidence) if share is not None]
    taken = {clip.id.casefold() for clip in dataset.clips}
    return replace(
        first,
        id=_find_free_name(f"{first.id}.m", taken),
        stop_s=round(first.start_s + seconds, 3),
        text=to_single_line(f"{first.text} {second.text}"),
        kept=True,
        reason="",
        edited=True,
        sound="",
        words=(*first.words, *moved) if first.words and second.words else (),
        confidence=min(sure, default=None),
        part=first.part or second.part,
    )


def _mark_replaced(clip: ClipRow, reason: str) -> ClipRow:
    return replace(clip, kept=False, reason=reason, part="", edited=True)


def _find_next_clip(dataset: Dataset, first: ClipRow) -> ClipRow:
    if first.reason in REPLACED_REASONS:
        raise ManifestError(f"{first.id} is already part of other clips. Join those.")
    after = [
        clip
        for clip in dataset.clips
        if clip.source == first.source
        and clip.start_s >= first.stop_s - 0.05
        and clip.id != first.id
        and clip.reason not in REPLACED_REASONS
    ]
    if not after:
        raise ManifestError(f"There is no clip after {first.id} in its recording to join it with.")
    return min(after, key=lambda clip: clip.start_s)


def _check_usable(dataset: Dataset, clip: ClipRow) -> None:
    if clip.reason in SIZE_REASONS:
        raise ManifestError(
            f"{clip.id} cannot be trained on: {clip.seconds:.1f} s with "
            f"{len(clip.text)} letters. Split it, or join it with an adjacent clip."
        )
    if not clip.text:
        raise ManifestError(f"{clip.id} has no transcript. Enter it to keep the clip.")
    for other in dataset.clips:
        shared = min(clip.stop_s, other.stop_s) - max(clip.start_s, other.start_s)
        if other.kept and other.source == clip.source and other.id != clip.id and shared > 0.1:
            raise ManifestError(f"{clip.id} is in {other.id} too. Drop that one first.")


def _find_free_name(name: str, taken: set[str]) -> str:
    free, number = name, 1
    while free.casefold() in taken:
        number += 1
        free = f"{name}{number}"
    taken.add(free.casefold())
    return free


def _update_clips(
    dataset: Dataset, changed: dict[str, ClipRow], new: Sequence[ClipRow] = ()
) -> Dataset:
    """Insert changed and new clips, and assign their splits."""
    clips = [changed.get(clip.id, clip) for clip in dataset.clips]
    places = [*changed.values(), *new]
    if new:
        at = max(i for i, clip in enumerate(clips) if clip.id in changed) + 1
        clips[at:at] = new
    parted = _assign_splits(clips, {clip.id for clip in places})
    return replace(dataset, clips=tuple(parted))


def _assign_splits(clips: Sequence[ClipRow], ids: Collection[str]) -> list[ClipRow]:
    """Assign splits to kept clips among `ids`: that of their text, else their own, else train."""
    part_of = {
        get_text_key(clip.text): clip.part for clip in clips if clip.kept and clip.id not in ids
    }

    def place(clip: ClipRow) -> ClipRow:
        return replace(clip, part=part_of.get(get_text_key(clip.text)) or clip.part or "train")

    return [place(clip) if clip.id in ids and clip.kept else clip for clip in clips]

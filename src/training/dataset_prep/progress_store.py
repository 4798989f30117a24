"""State of a dataset during preparation: finished recordings, and edits of the user."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from training.dataset_prep.lock import lock_for_editing
from training.dataset_prep.manifest import (
    DATASET_FILE,
    ClipRow,
    Dataset,
    ManifestError,
    SourceRow,
    read_dataset,
)
from training.dataset_prep.manifest import write_dataset as write
from training.dataset_prep.sources import is_same_file

MAX_WRITE_TIME_SHARE = 0.05  # of the time; large books are written less often
SAME_CLIP_OVERLAP = 0.5  # of the shorter of two clips; more is the same clip
CLIPS_KEPT_MESSAGE = "Its clips are kept."
MISSING_SOURCE_MESSAGE = f"It no longer exists. {CLIPS_KEPT_MESSAGE}"


class PreparationState:
    """Holds a dataset and saves it from time to time.

    The user may edit the dataset on disk meanwhile: edits are merged before anything is written.
    """

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        """Open the state. dataset: the clips known so far; clips on disk take precedence."""
        self.folder = folder
        self._facts = replace(dataset, sources=(), clips=())
        self._sources = {row.path: row for row in dataset.sources}
        self._clips = {clip.id: clip for clip in dataset.clips}
        self._written_at = 0.0
        self._writing_s = 0.0
        self._fingerprint = _compute_fingerprint(folder)

    @property
    def dataset(self) -> Dataset:
        """The dataset, in the order of the recordings."""
        order = {path: at for at, path in enumerate(self._sources)}
        last = len(order)
        clips = sorted(
            self._clips.values(),
            key=lambda clip: (order.get(clip.source, last), clip.source, clip.start_s, clip.id),
        )
        return replace(self._facts, sources=tuple(self._sources.values()), clips=tuple(clips))

    def set_sources(self, now: Sequence[SourceRow]) -> None:
        """Set the recordings; missing ones are kept with a message."""
        before = self._sources
        listed = {row.path: _clear_missing_message(before.get(row.path, row)) for row in now}
        gone = {
            path: replace(row, message=MISSING_SOURCE_MESSAGE) for path, row in before.items()
            if path not in listed and any(clip.source == path for clip in self._clips.values())
        }  # fmt: skip
        self._sources = {**listed, **gone}

    def is_done(self, now: SourceRow) -> bool:
        """Return whether a recording was processed, unchanged and with this recipe."""
        row = self._sources.get(now.path)
        return (
            row is not None
            and row.state == "done"
            and row.recipe == now.recipe
            and is_same_file(row, now)
        )

    def find_free_clip_id(self, wanted: str, taken: Collection[str] = ()) -> str:
        """Return an id that no clip has or had.  taken: further ones."""
        used = {id.casefold() for id in (*self._clips, *taken)}
        free, number = wanted, 1
        while free.casefold() in used:
            number += 1
            free = f"{wanted}_{number}"
        return free

    def mark_failed(self, source: SourceRow, message: str) -> None:
        """Mark a recording as unusable; its earlier clips are kept."""
        gave = any(clip.source == source.path for clip in self._clips.values())
        text = f"{message} {CLIPS_KEPT_MESSAGE}" if gave else message
        self._sources[source.path] = replace(source, state="failed", message=text)

    def replace_source_clips(self, source: SourceRow, clips: Iterable[ClipRow]) -> None:
        """Replace the clips of a recording, except edited ones."""
        self._merge_edits_from_disk()
        self._sources[source.path] = source
        edited = [clip for clip in self._clips.values() if clip.edited]
        mine = [clip for clip in edited if clip.source == source.path]
        others = [clip for clip in self._clips.values() if clip.source != source.path]
        fresh = [clip for clip in clips if not any(_overlaps(clip, kept) for kept in mine)]
        self._clips = {clip.id: clip for clip in [*others, *mine, *fresh]}

    def set_remarks(self, remarks: Mapping[str, str], start: str) -> None:
        """Set the messages of usable recordings, by path; earlier ones begin with `start`."""
        for path, row in self._sources.items():
            if not row.message or row.message.startswith(start):
                self._sources[path] = replace(row, message=remarks.get(path, ""))

    def update_all_clips(self, change: Callable[[Sequence[ClipRow]], Sequence[ClipRow]]) -> None:
        """Change all rows, with the user's edits until now, and save."""
        with lock_for_editing(self.folder):
            self._merge_edits_from_disk()
            self._clips = {clip.id: clip for clip in change(self.dataset.clips)}
            write(self.folder, self.dataset)
            self._fingerprint = _compute_fingerprint(self.folder)

    def save(self) -> None:
        """Write everything."""
        started = time.monotonic()
        with lock_for_editing(self.folder):
            self._merge_edits_from_disk()
            write(self.folder, self.dataset)
            self._fingerprint = _compute_fingerprint(self.folder)
        self._written_at = time.monotonic()
        self._writing_s = self._written_at - started

    def save_if_due(self) -> None:
        """Write everything, unless saving would take too large a share of the time."""
        if time.monotonic() - self._written_at >= self._writing_s / MAX_WRITE_TIME_SHARE:
            self.save()

    def _merge_edits_from_disk(self) -> None:
        """Merge what the user changed on disk since the last read or write."""
        stamp = _compute_fingerprint(self.folder)
        if stamp == self._fingerprint:
            return
        self._fingerprint = stamp
        on_disk = read_dataset(self.folder)
        edited = [clip for clip in on_disk.clips if clip.edited]
        ids = {clip.id for clip in edited}
        rest = [clip for clip in self._clips.values() if clip.id not in ids and not clip.edited]
        free = [clip for clip in rest if not any(_is_same_clip(clip, one) for one in edited)]
        self._clips = {clip.id: clip for clip in [*free, *edited]}


def load_preparation_state(folder: Path, fresh: Dataset) -> tuple[PreparationState, str]:
    """Load the state of a dataset; return it and a message about damage, or "".

    fresh: the new facts; clips and recordings come from disk. Damaged files are moved aside, never
    overwritten.
    """
    path = folder / DATASET_FILE
    if not path.is_file():
        return PreparationState(folder, fresh), ""
    try:
        before = read_dataset(folder)
    except ManifestError as error:
        aside = path.with_name(f"{DATASET_FILE}.damaged-{int(time.time())}")
        path.rename(aside)
        return PreparationState(folder, fresh), f"{error} It was renamed to {aside.name}."
    clips = before.clips
    if (before.seed, before.validation_share) != (fresh.seed, fresh.validation_share):
        clips = tuple(replace(clip, part="") for clip in clips)  # to be split again
    known = replace(
        fresh, created=before.created or fresh.created, sources=before.sources, clips=clips
    )
    return PreparationState(folder, known), ""


def _clear_missing_message(row: SourceRow) -> SourceRow:
    return replace(row, message="") if row.message == MISSING_SOURCE_MESSAGE else row


def _overlaps(one: ClipRow, other: ClipRow) -> bool:
    shared = min(one.stop_s, other.stop_s) - max(one.start_s, other.start_s)
    return shared > SAME_CLIP_OVERLAP * max(0.01, min(one.seconds, other.seconds))


def _is_same_clip(one: ClipRow, other: ClipRow) -> bool:
    return one.source == other.source and _overlaps(one, other)


def _compute_fingerprint(folder: Path) -> tuple[int, int]:
    try:
        status = (folder / DATASET_FILE).stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)

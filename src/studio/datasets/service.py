"""The datasets of a studio: listing, pages of clips, edits, trash.

datasets = Datasets(layout)
datasets.find("alice", show="kept").rows        the worst clips first
datasets.edit_text("alice", "clip-0001", "The corrected text.")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, quote_for_message, validate_name
from core.trash import (
    TrashEntry,
    find_free_name,
    find_trash_entry,
    list_subfolders,
    list_trash,
    move_to_trash,
    restore_from_trash,
)
from jobs.detached import is_alive
from studio.datasets.prepare_request import (
    PreparePlan,
    PrepareRequest,
    list_transcribers,
    plan_preparation,
    preview_lists,
)
from training.asr.base import Word
from training.dataset_prep import review
from training.dataset_prep.lock import is_being_prepared, lock_for_editing
from training.dataset_prep.manifest import (
    CLIP_REASONS,
    DATASET_FILE,
    REPLACED_REASONS,
    ClipRow,
    Dataset,
    ManifestError,
    read_dataset,
    write_dataset,
)
from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.report import (
    ClipTotals,
    DatasetReport,
    HistogramBin,
    build_dataset_report,
    format_dataset_report,
)

__all__ = [
    "CLIP_REASONS",
    "ClipPage",
    "ClipRow",
    "ClipTotals",
    "DatasetInfo",
    "DatasetReport",
    "Datasets",
    "HistogramBin",
    "PrepareOptions",
    "PreparePlan",
    "PrepareRequest",
    "TrashEntry",
    "Word",
    "format_dataset_report",
    "list_transcribers",
    "plan_preparation",
    "preview_lists",
]

CLIP_FILTERS = ("all", "kept", "dropped", "edited", "doubtful")
PER_PAGE = 20
MAX_PER_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A dataset in a list.

    state: ready, unfinished (recordings are left), preparing or damaged;  created: seconds since
    1970.
    """

    name: str
    voice: str = ""
    transcriber: str = ""
    created: float = 0.0
    clips: int = 0
    kept: int = 0
    kept_s: float = 0.0
    state: str = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPage:
    """A page of clips, the worst first. total: clips that match;  all: clips in the dataset."""

    rows: tuple[ClipRow, ...]
    total: int
    all: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedDataset:
    stamp: tuple[int, int]
    dataset: Dataset
    worst: tuple[ClipRow, ...]


class Datasets:
    """The datasets of one studio.

    Caches a dataset until its file changes. Any thread may call it, also during preparation.
    """

    def __init__(self, layout: ProjectPaths) -> None:
        self._layout = layout
        self._cached: dict[str, _CachedDataset] = {}
        self._reports: dict[str, tuple[tuple[int, int], DatasetReport]] = {}
        self._lock = Lock()

    def names(self) -> Sequence[str]:
        """Return the names of the datasets, without reading them."""
        return [folder.name for folder in self._folders()]

    def list(self) -> tuple[DatasetInfo, ...]:
        """List the datasets by name."""
        return tuple(self._info(folder) for folder in self._folders())

    def dataset(self, name: str) -> Dataset:
        """Return a dataset.  Raises AppError where there is none of that name."""
        return self._load(name).dataset

    def find(
        self,
        name: str,
        show: str = "all",
        words: str = "",
        page: int = 1,
        per_page: int = PER_PAGE,
    ) -> ClipPage:
        """Return a page of the clips that match a filter and contain all words, worst first.

        show: all, kept, dropped, edited, doubtful (kept, but flagged), or a key of CLIP_REASONS.
        """
        known = self._load(name)
        if show not in CLIP_FILTERS and show not in CLIP_REASONS:
            raise AppError(
                f"{quote_for_message(show)} is not a filter. Choose from: "
                f"{', '.join(CLIP_FILTERS)}."
            )
        wanted = words.casefold().split()
        found = [
            clip
            for clip in known.worst
            if _matches_filter(clip, show) and (not wanted or _contains_words(clip, wanted))
        ]
        per_page = min(MAX_PER_PAGE, max(1, per_page))
        pages = max(1, math.ceil(len(found) / per_page))
        page = min(max(1, page), pages)
        return ClipPage(
            rows=tuple(found[(page - 1) * per_page : page * per_page]),
            total=len(found),
            all=len(known.worst),
            page=page,
            pages=pages,
        )

    def report(self, name: str) -> DatasetReport:
        """Return statistics of a dataset."""
        known = self._load(name)
        cached = self._reports.get(name)
        if cached is None or cached[0] != known.stamp:
            cached = self._reports[name] = (known.stamp, build_dataset_report(known.dataset))
        return cached[1]

    def edit_text(self, name: str, id: str, text: str) -> tuple[ClipRow, ...]:
        """Correct the text of a clip."""
        return self._apply_edit(name, lambda known: (review.edit_text(known, id, text), (id,)))

    def drop(self, name: str, ids: Sequence[str]) -> tuple[ClipRow, ...]:
        """Exclude clips from training."""
        return self._apply_edit(name, lambda known: (review.drop_clips(known, ids), ids))

    def restore(self, name: str, ids: Sequence[str]) -> tuple[ClipRow, ...]:
        """Include dropped clips again."""
        return self._apply_edit(name, lambda known: (review.restore_clips(known, ids), ids))

    def accept(self, name: str, ids: Sequence[str]) -> tuple[ClipRow, ...]:
        """Mark clips as correct."""
        return self._apply_edit(name, lambda known: (review.accept_clips(known, ids), ids))

    def accept_above(self, name: str, confidence: float) -> int:
        """Accept all flagged texts of at least this confidence, 0 to 1; return their number."""
        if not 0 <= confidence <= 1:
            raise AppError(f"The confidence is {100 * confidence:g} %; it must be from 0 to 100 %.")

        def change(known: Dataset) -> tuple[Dataset, Sequence[str]]:
            ids = review.find_doubtful_clips(known, confidence)
            return review.accept_clips(known, ids), ids

        return len(self._apply_edit(name, change))

    def merge(self, name: str, id: str) -> tuple[ClipRow, ...]:
        """Join a clip with the next one of its recording and return the new clip."""
        folder = self._layout.dataset(name)

        def change(known: Dataset) -> tuple[Dataset, Sequence[str]]:
            merged, new = review.merge_clips(known, id, folder)
            return merged, (new,)

        return self._apply_edit(name, change)

    def split(
        self, name: str, id: str, at_s: float | None = None, after_words: int | None = None
    ) -> tuple[ClipRow, ...]:
        """Split a clip near a time or after a number of words and return both parts."""
        folder = self._layout.dataset(name)
        return self._apply_edit(
            name, lambda known: review.split_clip(known, id, folder, at_s, after_words)
        )

    def has_active_training(self, name: str) -> bool:
        """Return whether a training run of a dataset is running or waits for its turn."""
        return any(is_alive(run) for run in list_subfolders(self._layout.dataset(name) / "runs"))

    def delete(self, name: str) -> TrashEntry:
        """Move a dataset with its runs to the trash.

        Raises AppError while it is being prepared or trained on.
        """
        folder = self._layout.dataset(name)
        if not folder.is_dir():
            raise AppError(f"There is no dataset {quote_for_message(name)}.")
        if is_being_prepared(folder):
            raise AppError(f"{quote_for_message(name)} is being prepared. Stop that first.")
        if self.has_active_training(name):
            raise AppError(f"A training runs on {quote_for_message(name)}. Stop it first.")
        return move_to_trash(folder)

    def list_deleted(self) -> Sequence[TrashEntry]:
        """List the datasets in the trash, the latest first."""
        return list_trash(self._layout.training)

    def restore_deleted(self, id: str) -> str:
        """Restore a deleted dataset and return its name, another where its own is taken."""
        entry = find_trash_entry(self._layout.training, id)
        if entry is None:
            raise AppError(f"There is no dataset {quote_for_message(id)} in the trash.")
        target = self._layout.dataset(find_free_name(self._layout.training, entry.name))
        restore_from_trash(self._layout.training, entry, target)
        return target.name

    def _apply_edit(
        self, name: str, change: Callable[[Dataset], tuple[Dataset, Collection[str]]]
    ) -> tuple[ClipRow, ...]:
        self._load(name)
        folder = self._layout.dataset(name)
        with (
            translate_write_errors(folder),
            reraise_as_app_error(ManifestError),
            lock_for_editing(folder),
        ):
            changed, ids = change(self._load(name).dataset)
            write_dataset(folder, changed)
            self._store_in_cache(name, folder, changed)
        wanted = set(ids)
        return tuple(clip for clip in changed.clips if clip.id in wanted)

    def _load(self, name: str) -> _CachedDataset:
        folder = self._layout.dataset(name)
        stamp = _compute_fingerprint(folder)
        if stamp is None:
            raise AppError(
                self._format_missing_message(name),
                cli_hint="`testudo prepare VOICE` creates one.",
            )
        cached = self._cached.get(name)
        if cached is not None and cached.stamp == stamp:
            return cached
        with reraise_as_app_error(ManifestError):
            return self._store_in_cache(name, folder, read_dataset(folder), stamp)

    def _store_in_cache(
        self, name: str, folder: Path, dataset: Dataset, stamp: tuple[int, int] | None = None
    ) -> _CachedDataset:
        known = _CachedDataset(
            stamp=stamp or _compute_fingerprint(folder) or (0, 0),
            dataset=dataset,
            worst=tuple(review.sort_worst_first(dataset.clips)),
        )
        with self._lock:
            self._cached[name] = known
        return known

    def _info(self, folder: Path) -> DatasetInfo:
        try:
            known = self._load(folder.name).dataset
        except AppError:
            return DatasetInfo(name=folder.name, state="damaged")
        kept = known.kept()
        waiting = any(source.state == "waiting" for source in known.sources)
        state = "unfinished" if waiting else "ready"
        return DatasetInfo(
            name=folder.name,
            voice=known.voice,
            transcriber=known.transcriber,
            created=known.created,
            clips=len(known.clips),
            kept=len(kept),
            kept_s=round(sum(clip.seconds for clip in kept), 1),
            state="preparing" if is_being_prepared(folder) else state,
        )

    def _folders(self) -> Sequence[Path]:
        if not self._layout.training.is_dir():
            return []
        found = [path for path in self._layout.training.iterdir() if _is_dataset(path)]
        return sorted(found, key=lambda path: path.name.casefold())

    def _format_missing_message(self, name: str) -> str:
        names = self.names()
        known = f" There are: {', '.join(names[:10])}." if names else " There are none yet."
        return f"There is no dataset {quote_for_message(name)}.{known}"


def _compute_fingerprint(folder: Path) -> tuple[int, int] | None:
    try:
        status = (folder / DATASET_FILE).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _is_dataset(folder: Path) -> bool:
    try:
        validate_name(folder.name, "dataset")
    except AppError:
        return False
    return (folder / DATASET_FILE).is_file()


def _matches_filter(clip: ClipRow, show: str) -> bool:
    if show == "all":
        return clip.reason not in REPLACED_REASONS
    if show == "kept":
        return clip.kept
    if show == "dropped":
        return not clip.kept and clip.reason not in REPLACED_REASONS
    if show == "edited":
        return clip.edited
    if show == "doubtful":
        return clip.kept and bool(clip.reason)
    return clip.reason == show


def _contains_words(clip: ClipRow, wanted: Sequence[str]) -> bool:
    text = f"{clip.id} {clip.source} {clip.text}".casefold()
    return all(word in text for word in wanted)

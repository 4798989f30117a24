"""Datasets as people see them: which there are, what is in them, and what is changed by hand.

    datasets = Datasets(layout)
    datasets.find("alice", show="kept").rows        worst first
    datasets.edit_text("alice", "clip-0001", "What is really said.")

Light: a dataset is read once and again when its file changed. Every method may be called from any
thread, and while the dataset is being prepared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from studio.dataset_bin import (
    DeletedDataset,
    delete_dataset,
    deleted_datasets,
    is_trained_on,
    restore_dataset,
)
from studio.dataset_request import (
    PrepareRequest,
    Ready,
    check_prepare,
    transcribers,
)
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout, plain_name, shown
from training import review
from training.dataset_lock import editing, is_being_prepared
from training.dataset_report import Bin, Report, Share, report_on, report_text
from training.manifest import (
    DATASET,
    REASONS,
    REPLACED,
    ClipRow,
    Dataset,
    ManifestError,
    Word,
    read_dataset,
    write_dataset,
)
from training.prepare_options import PrepareOptions

__all__ = [
    "REASONS",
    "Bin",
    "ClipRow",
    "DatasetInfo",
    "Datasets",
    "DeletedDataset",
    "Listing",
    "PrepareOptions",
    "PrepareRequest",
    "Ready",
    "Report",
    "Share",
    "Word",
    "check_prepare",
    "report_text",
    "transcribers",
]

SHOWN = ("all", "kept", "dropped", "edited", "doubtful")
PER_PAGE = 20
MOST_PER_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A dataset in a list.

    state: ready, unfinished (recordings are left), preparing, or damaged;  created: seconds since
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
class Listing:
    """A page of clips, worst first.  total: those that were looked for;  all: there are."""

    rows: tuple[ClipRow, ...]
    total: int
    all: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A dataset as it was when its file looked so."""

    stamp: tuple[int, int]
    dataset: Dataset
    worst: tuple[ClipRow, ...]


class Datasets:
    """The datasets of one studio."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._read: dict[str, _Read] = {}
        self._reports: dict[str, tuple[tuple[int, int], Report]] = {}
        self._lock = Lock()

    def names(self) -> Sequence[str]:
        """Name the datasets, without looking into them."""
        return [folder.name for folder in self._folders()]

    def list(self) -> tuple[DatasetInfo, ...]:
        """List the datasets by name."""
        return tuple(self._info(folder) for folder in self._folders())

    def dataset(self, name: str) -> Dataset:
        """Return all that is known of a dataset.  Raises StudioError where there is none."""
        return self._known(name).dataset

    def find(
        self,
        name: str,
        show: str = "all",
        words: str = "",
        page: int = 1,
        per_page: int = PER_PAGE,
    ) -> Listing:
        """Return a page of the clips that are shown and hold all the words, worst first.

        show: all, kept, dropped, edited, doubtful (kept with a mark), or a key of REASONS.
        """
        known = self._known(name)
        if show not in SHOWN and show not in REASONS:
            raise StudioError(f"{shown(show)} cannot be shown; {', '.join(SHOWN)} can.")
        wanted = words.casefold().split()
        found = [
            clip for clip in known.worst
            if _is_shown(clip, show) and (not wanted or _holds(clip, wanted))
        ]  # fmt: skip
        per_page = min(MOST_PER_PAGE, max(1, per_page))
        pages = max(1, math.ceil(len(found) / per_page))
        page = min(max(1, page), pages)
        return Listing(
            rows=tuple(found[(page - 1) * per_page : page * per_page]),
            total=len(found),
            all=len(known.worst),
            page=page,
            pages=pages,
        )

    def report(self, name: str) -> Report:
        """Say what a dataset is worth."""
        known = self._known(name)
        held = self._reports.get(name)
        if held is None or held[0] != known.stamp:
            held = self._reports[name] = (known.stamp, report_on(known.dataset))
        return held[1]

    def audio(self, name: str, id: str) -> Path:
        """Say where the sound of a clip lies.  Raises StudioError where there is none."""
        with refusing(ManifestError):
            clip = review.find_clip(self.dataset(name), id)
        path = self._layout.dataset(name) / clip.file
        if not path.is_file():
            raise StudioError(f"The sound of {clip.id} is gone. Prepare the dataset again.")
        return path

    def edit_text(self, name: str, id: str, text: str) -> tuple[ClipRow, ...]:
        """Say what is really said in a clip."""
        return self._change(name, lambda known: (review.edit_text(known, id, text), (id,)))

    def drop(self, name: str, ids: Sequence[str]) -> tuple[ClipRow, ...]:
        """Leave clips out of the training."""
        return self._change(name, lambda known: (review.drop(known, ids), ids))

    def restore(self, name: str, ids: Sequence[str]) -> tuple[ClipRow, ...]:
        """Take dropped clips back."""
        return self._change(name, lambda known: (review.restore(known, ids), ids))

    def accept(self, name: str, ids: Sequence[str]) -> tuple[ClipRow, ...]:
        """Say that clips are right as they are."""
        return self._change(name, lambda known: (review.accept(known, ids), ids))

    def accept_above(self, name: str, confidence: float) -> int:
        """Accept every doubtful text that was heard at least so surely; say how many."""

        def change(known: Dataset) -> tuple[Dataset, Sequence[str]]:
            ids = review.doubted_above(known, confidence)
            return review.accept(known, ids), ids

        return len(self._change(name, change))

    def merge(self, name: str, id: str) -> tuple[ClipRow, ...]:
        """Join a clip with the next one of its recording; return the new one."""
        folder = self._layout.dataset(name)

        def change(known: Dataset) -> tuple[Dataset, Sequence[str]]:
            merged, new = review.merge(known, id, folder)
            return merged, (new,)

        return self._change(name, change)

    def split(
        self, name: str, id: str, at_s: float | None = None, after_words: int | None = None
    ) -> tuple[ClipRow, ...]:
        """Cut a clip in two near a second, or after so many words; return the parts."""
        folder = self._layout.dataset(name)
        return self._change(name, lambda known: review.split(known, id, folder, at_s, after_words))

    def is_trained_on(self, name: str) -> bool:
        """Whether a training works on a dataset; what is changed counts from the next one on."""
        return is_trained_on(self._layout, name)

    def delete(self, name: str) -> DeletedDataset:
        """Move a dataset, with its trainings, into the bin."""
        return delete_dataset(self._layout, name)

    def deleted(self) -> Sequence[DeletedDataset]:
        """List the datasets in the bin, the latest first."""
        return deleted_datasets(self._layout)

    def restore_deleted(self, id: str) -> str:
        """Bring a deleted dataset back; return its name, another where its own is taken by now."""
        return restore_dataset(self._layout, id)

    def _change(
        self, name: str, change: Callable[[Dataset], tuple[Dataset, Collection[str]]]
    ) -> tuple[ClipRow, ...]:
        """Change a dataset in one go; return the rows that the change names."""
        self._known(name)
        folder = self._layout.dataset(name)
        with writing_to(folder), refusing(ManifestError), editing(folder):
            changed, ids = change(self._known(name).dataset)
            write_dataset(folder, changed)
            self._remember(name, folder, changed)
        wanted = set(ids)
        return tuple(clip for clip in changed.clips if clip.id in wanted)

    def _known(self, name: str) -> _Read:
        folder = self._layout.dataset(name)
        stamp = _stamp(folder)
        if stamp is None:
            raise StudioError(self._missing(name))
        held = self._read.get(name)
        if held is not None and held.stamp == stamp:
            return held
        with refusing(ManifestError):
            return self._remember(name, folder, read_dataset(folder), stamp)

    def _remember(
        self, name: str, folder: Path, dataset: Dataset, stamp: tuple[int, int] | None = None
    ) -> _Read:
        known = _Read(
            stamp=stamp or _stamp(folder) or (0, 0),
            dataset=dataset,
            worst=tuple(review.worst_first(dataset.clips)),
        )
        with self._lock:
            self._read[name] = known
        return known

    def _info(self, folder: Path) -> DatasetInfo:
        try:
            known = self._known(folder.name).dataset
        except StudioError:
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

    def _missing(self, name: str) -> str:
        names = self.names()
        known = f" There are: {', '.join(names[:10])}." if names else " There are none yet."
        return f"There is no dataset {shown(name)}.{known} `testudo prepare VOICE` makes one."


def _stamp(folder: Path) -> tuple[int, int] | None:
    try:
        status = (folder / DATASET).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _is_dataset(folder: Path) -> bool:
    try:
        plain_name(folder.name, "dataset")
    except StudioError:
        return False
    return (folder / DATASET).is_file()


def _is_shown(clip: ClipRow, show: str) -> bool:
    if show == "all":
        return clip.reason not in REPLACED
    if show == "kept":
        return clip.kept
    if show == "dropped":
        return not clip.kept and clip.reason not in REPLACED
    if show == "edited":
        return clip.edited
    if show == "doubtful":
        return clip.kept and bool(clip.reason)
    return clip.reason == show


def _holds(clip: ClipRow, wanted: Sequence[str]) -> bool:
    text = f"{clip.id} {clip.source} {clip.text}".casefold()
    return all(word in text for word in wanted)

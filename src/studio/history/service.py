"""The history: every clip that was spoken, to be found, kept in order and taken up again."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message
from core.progress import ProgressEvent, ProgressReporter
from studio.history.export import MAX_EXPORT_CLIPS, export_zip
from studio.history.favorites import (
    read_stars,
    read_stars_from_index,
    write_stars,
    write_stars_to_index,
)
from studio.history.file_groups import (
    DirectoryCache,
    get_rename_target,
    get_renamed_path,
    list_clip_paths,
)
from studio.history.index import HistoryIndex
from studio.history.query import (
    PAGE_SIZE,
    ClipFile,
    ClipSummary,
    FilterChoices,
    HistoryPage,
    Search,
    filter_known_refs,
    find_clip_summary,
    find_clips,
    get_filter_choices,
    is_indexed,
    list_clip_files,
    list_refs,
)
from studio.history.scanner import (
    compute_fingerprint,
    has_folder_changes,
    index_files,
    scan_results,
)
from studio.history.trash import (
    Deletion,
    compute_folder_size,
    delete_clips,
    find_deletion,
    list_deletions,
    move_all,
    restore_clips,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import LINES_DIR_SUFFIX

SCAN_INTERVAL_S = 1.5  # seconds between two looks at the folders, however many pages are open
FULL_SCAN_INTERVAL_S = 60.0  # and at every file: a clip may be changed in place
NO_CLIP_MESSAGE = "Choose at least one clip."
UNKNOWN_CLIP_MESSAGE = "There is no clip {} in the history. It may have gone."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanStatus:
    """How far the look at the disk is; problem: why the last one ended early."""

    running: bool = False
    done: int = 0
    total: int = 0
    problem: str = ""


class History:
    """The clips below the results of one studio. Any thread may use it.

    Clips are named by `ref`, the path of the combined clip below the results. A name that the index
    does not know is refused, so nothing outside of the results can be reached.
    """

    def __init__(self, layout: ProjectPaths) -> None:
        self.layout = layout
        self._index = HistoryIndex(layout.history_db)
        self._scan_lock = threading.Lock()
        self._scan_status = ScanStatus()
        self._last_scan = self._last_full_scan = float("-inf")

    @classmethod
    def open(cls, layout: ProjectPaths) -> History:
        """Open the index, or make an empty one; `refresh` or `scan_results` fills it."""
        return cls(layout)

    @property
    def revision(self) -> int:
        """A number that grows with every change that a list would show."""
        return self._index.revision

    @property
    def scan_status(self) -> ScanStatus:
        """How far the look at the disk in the background is."""
        return self._scan_status

    def refresh(self) -> None:
        """See in the background whether clips came or went; returns at once.

        Cheap enough for a timer: mostly it only compares the times of folders.
        """
        now = time.monotonic()
        if now - self._last_scan < SCAN_INTERVAL_S or self._scan_lock.locked():
            return
        self._last_scan = now
        whole = now - self._last_full_scan > FULL_SCAN_INTERVAL_S
        if whole or self.has_changed():
            self._last_full_scan = now if whole else self._last_full_scan
            threading.Thread(target=self._scan_in_background, name="history", daemon=True).start()

    def has_changed(self) -> bool:
        """Say whether a clip may have come or gone on disk since the last look."""
        return has_folder_changes(self.layout.results, self._index)

    def scan(self, report: ProgressReporter) -> int:
        """Bring the index up to date; return how many files came, changed or went."""
        with self._scan_lock:
            changed = scan_results(self.layout.results, self._index, report)
            self._sync_stars()
            return changed

    def scan_if_changed(self, report: ProgressReporter) -> None:
        """Bring the index up to date where clips came or went; cheap where none did."""
        if self.has_changed():
            self.scan(report)

    def rebuild(self, report: ProgressReporter) -> int:
        """Forget the index and make it anew from the clips."""
        with self._index.revision_transaction() as db:
            for table in ("files", "folders", "stars"):
                db.execute(f"delete from {table}")
        return self.scan(report)

    def find(self, search: Search, start: int = 0, count: int = PAGE_SIZE) -> HistoryPage:
        """Return one page of the clips that fit, and how many there are."""
        with self._index.connection() as db:
            return find_clips(db, search, start, count)

    def get_filter_choices(self) -> FilterChoices:
        """Return the voices, engines and models there are clips of."""
        with self._index.connection() as db:
            return get_filter_choices(db)

    def get_clip(self, ref: str) -> ClipSummary:
        """Return one clip as lists show it."""
        with self._index.connection() as db:
            row = find_clip_summary(db, ref)
        if row is None:
            raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(ref)))
        return row

    def list_files(self, ref: str) -> list[ClipFile]:
        """Return every file of a clip: itself, its candidates, its lines."""
        with self._index.connection() as db:
            parts = list_clip_files(db, ref)
        if not parts:
            raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(ref)))
        return parts

    def resolve_path(self, path: str) -> Path:
        """Return the file of a clip, a candidate or a line by its path below the results.

        Raises StudioError for whatever is no clip of the history.
        """
        with self._index.connection() as db:
            known = is_indexed(db, path)
        file = self.layout.results / path
        if not known or not file.is_file():
            raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(path)))
        if not file.resolve().is_relative_to(self.layout.results.resolve()):
            raise AppError(f"{quote_for_message(path)} leads out of the results and is left alone.")
        return file

    def read_metadata(self, path: str) -> TakeMetadata:
        """Read how a clip was spoken, from the clip itself."""
        return read_metadata(self.resolve_path(path)).without_latents()

    def set_starred(self, refs: Sequence[str], on: bool) -> None:
        """Give clips a star, or take it away."""
        self._check_known(refs)
        with self._index.revision_transaction() as db:
            stars = read_stars(self.layout.stars)
            stars = stars | set(refs) if on else stars - set(refs)
            write_stars(self.layout.stars, stars)
            write_stars_to_index(db, stars)

    def rename(self, ref: str, name: str) -> str:
        """Give a clip, its candidates and its lines another name; return its new ref.

        Raises StudioError for a name that cannot be one, or is taken.
        """
        self.get_clip(ref)
        final = self.layout.results / ref
        target = get_rename_target(final, name)
        if target == final:
            return ref
        new = target.relative_to(self.layout.results).as_posix()
        with self._index.transaction(), translate_write_errors(target):
            parts = list_clip_paths(final)
            if not parts:
                raise AppError(f"{quote_for_message(ref)} is not there any more.")
            if list_clip_paths(target) and not _is_same_file(list_clip_paths(target)[0], parts[0]):
                raise AppError(
                    f"There is already a clip named {quote_for_message(target.name)}.",
                    code="name_taken",
                )
            move_all((part, get_renamed_path(part, final, target)) for part in parts)
        self._reindex([ref, new])
        self._move_stars({ref: new})
        return new

    def delete(self, refs: Sequence[str]) -> Deletion:
        """Move clips with all that belongs to them into the bin."""
        self._check_known(refs)
        with self._index.transaction() as db:
            chosen = list(dict.fromkeys(refs))
            stars = read_stars_from_index(db)
            deletion = delete_clips(self.layout.results, self.layout.trash, chosen, stars)
        self._reindex(refs)
        self._move_stars(dict.fromkeys(refs))
        return deletion

    def restore(self, id: str | None = None) -> list[str]:
        """Bring back what was deleted last, or the deletion of that id; return where it is now."""
        with self._index.transaction():
            deletion = find_deletion(self.layout.trash, id)
            back = restore_clips(self.layout.results, self.layout.trash, deletion)
        self._reindex([*back.values()])
        starred = {clip.ref for clip in deletion.clips if clip.starred}
        stars = [new for old, new in back.items() if old in starred]
        if stars:
            self.set_starred(stars, True)
        return list(back.values())

    def list_trash(self) -> list[Deletion]:
        """List what is in the bin, the latest first."""
        return list_deletions(self.layout.trash)

    def compute_trash_size(self) -> int:
        """Count the bytes in the bin."""
        return compute_folder_size(self.layout.trash)

    def empty_trash(self) -> int:
        """Delete for good what is in the bin; return how many bytes that freed."""
        freed = self.compute_trash_size()
        with self._index.transaction(), translate_write_errors(self.layout.trash):
            if self.layout.trash.is_dir():
                shutil.rmtree(self.layout.trash)
        return freed

    def export(self, refs: Sequence[str], report: ProgressReporter) -> Path:
        """Write clips into a new zip file with the settings of each."""
        files = [self.resolve_path(self.get_clip(ref).path) for ref in dict.fromkeys(refs)]
        return export_zip(self.layout.exports, files, report)

    def list_matching_refs(self, search: Search) -> list[str]:
        """Name all clips that fit a search, as many as can be exported at once."""
        with self._index.connection() as db:
            return list_refs(db, search, MAX_EXPORT_CLIPS)

    def filter_existing(self, refs: Sequence[str]) -> list[str]:
        """Return those of the clips that have not gone since."""
        with self._index.connection() as db:
            known = filter_known_refs(db, refs)
        return [ref for ref in refs if ref in known]

    def _check_known(self, refs: Sequence[str]) -> None:
        if not refs:
            raise AppError(NO_CLIP_MESSAGE)
        there = set(self.filter_existing(refs))
        for ref in refs:
            if ref not in there:
                raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(ref)))

    def _reindex(self, refs: Sequence[str]) -> None:
        """Bring these clips in the index up to date with the disk."""
        results, folders = self.layout.results, DirectoryCache()
        paths: set[str] = set()
        with self._index.connection() as db:
            for ref in refs:
                paths.update(part.path for part in list_clip_files(db, ref))
        for ref in refs:
            for part in list_clip_paths(results / ref, folders):
                inside = (
                    part.iterdir()
                    if part.name.endswith(LINES_DIR_SUFFIX) and part.is_dir()
                    else [part]
                )
                paths.update(file.relative_to(results).as_posix() for file in inside)
        index_files(
            results,
            self._index,
            {path: compute_fingerprint(results / path) for path in sorted(paths)},
        )

    def _move_stars(self, moves: dict[str, str] | dict[str, None]) -> None:
        """Let stars follow clips to their new names, or go with them."""
        with self._index.revision_transaction() as db:
            stars = read_stars(self.layout.stars)
            if stars.isdisjoint(moves):
                return
            news = {new for old, new in moves.items() if new is not None and old in stars}
            stars = stars - set(moves) | news
            write_stars(self.layout.stars, stars)
            write_stars_to_index(db, stars)

    def _sync_stars(self) -> None:
        stars = read_stars(self.layout.stars)
        with self._index.connection() as db:
            known = read_stars_from_index(db)
        if stars != known:
            with self._index.revision_transaction() as db:
                write_stars_to_index(db, read_stars(self.layout.stars))

    def _scan_in_background(self) -> None:
        """Scan for people who did not ask for it: what goes wrong is told, not raised."""
        problem = ""
        try:
            self._scan_status = ScanStatus(running=True)
            self.scan(ProgressReporter(self._on_progress))
        except (AppError, OSError) as cause:
            problem = str(cause)
        finally:
            self._scan_status = ScanStatus(problem=problem)

    def _on_progress(self, event: ProgressEvent) -> None:
        self._scan_status = ScanStatus(running=True, done=event.done, total=event.total or 0)


def _is_same_file(one: Path, other: Path) -> bool:
    """Whether two names lead to one file: only their letters' case differs, and the disk's not."""
    return one.exists() and other.exists() and one.samefile(other)

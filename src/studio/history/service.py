"""The generated clips of a studio: search, stars, rename, trash, export."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, UnrecoverableError, translate_write_errors
from core.files import tree_size
from core.paths import ProjectPaths, quote_for_message
from core.progress import ProgressEvent, ProgressReporter
from core.trash import empty_trash
from studio.history import export, favorites, likeness, peaks, query, scanner, trash
from studio.history.file_groups import FileGroups, get_rename_target, move_all
from studio.history.index import HistoryIndex
from studio.history.likeness import UnmeasuredFile
from studio.history.query import ClipFile, ClipSummary, FilterChoices, HistoryPage, Search
from studio.history.trash import Deletion
from studio.schemas.take_metadata import TakeMetadata
from studio.subtitles.cues import Cue, list_cues, list_word_cues
from studio.subtitles.word_times import LineWords, list_clip_words
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath

SCAN_INTERVAL_S = 1.5  # between two comparisons of folder times, however many pages are open
MAX_FILES_AT_ONCE = 200  # read while a caller waits; more are read in the background
FULL_SCAN_INTERVAL_S = 60.0  # between two scans of all files, which may change in place
NO_CLIP_MESSAGE = "Select at least one clip."
UNKNOWN_CLIP_MESSAGE = "There is no clip {} in the history. It may have been deleted."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanStatus:
    """Progress of the background scan. problem: the error that ended the last one."""

    running: bool = False
    done: int = 0
    total: int = 0
    problem: str = ""


class History:
    """The clips below the results of one studio; any thread may call it.

    Clips are identified by `ref`, the path of the joined clip below the results. Refs that are not
    in the index raise AppError, so files outside of the results cannot be reached.
    """

    def __init__(self, layout: ProjectPaths) -> None:
        self.layout = layout
        self._index = HistoryIndex(layout.history_db)
        self._scan_lock = threading.Lock()
        self._scan_status = ScanStatus()
        self._last_scan = self._last_full_scan = float("-inf")

    @classmethod
    def open(cls, layout: ProjectPaths) -> History:
        """Open the index, or create an empty one; `refresh` or `scan` fills it."""
        return cls(layout)

    @property
    def revision(self) -> int:
        """The number of changes so far that a list has to show."""
        return self._index.revision

    @property
    def scan_status(self) -> ScanStatus:
        """Progress of the background scan."""
        return self._scan_status

    def refresh(self) -> None:
        """Start a background scan where files may have changed; cheap enough for a timer."""
        now = time.monotonic()
        if now - self._last_scan < SCAN_INTERVAL_S or self._scan_lock.locked():
            return
        self._last_scan = now
        whole = now - self._last_full_scan > FULL_SCAN_INTERVAL_S
        if whole or self.has_changed():
            self._last_full_scan = now if whole else self._last_full_scan
            self._start_scan()

    def _start_scan(self, total: int = 0) -> None:
        self._scan_status = ScanStatus(running=True, total=total)
        threading.Thread(target=self._scan_in_background, name="history", daemon=True).start()

    def has_changed(self) -> bool:
        """Return whether files may have been added or deleted since the last scan."""
        return scanner.has_folder_changes(self.layout.results, self._index)

    def scan(self, report: ProgressReporter) -> int:
        """Update the index and return the number of new, changed and deleted files."""
        with self._scan_lock:
            counts = scanner.scan_results(self.layout.results, self._index, report)
            self._sync_stars()
            return counts.changed

    def update(self) -> None:
        """Add new files to the index: the newest at once, many others in the background."""
        if not self.has_changed() or not self._scan_lock.acquire(blocking=False):
            return
        try:
            counts = scanner.scan_results(
                self.layout.results, self._index, ProgressReporter(), MAX_FILES_AT_ONCE
            )
            self._sync_stars()
        finally:
            self._scan_lock.release()
        if counts.remaining:
            self._start_scan(total=counts.remaining)

    def scan_if_changed(self, report: ProgressReporter) -> None:
        """Update the index where files were added or deleted."""
        if self.has_changed():
            self.scan(report)

    def rebuild(self, report: ProgressReporter) -> int:
        """Rebuild the index from the files."""
        with self._index.revision_transaction() as db:
            for table in ("files", "folders", "stars"):
                db.execute(f"delete from {table}")
        return self.scan(report)

    def find(self, search: Search, start: int = 0, count: int = query.PAGE_SIZE) -> HistoryPage:
        """Return one page of the matching clips."""
        with self._index.connection() as db:
            return query.find_clips(db, search, start, count)

    def get_filter_choices(self) -> FilterChoices:
        """Return the voices, engines and models that there are clips of."""
        with self._index.connection() as db:
            return query.get_filter_choices(db)

    def get_clip(self, ref: str) -> ClipSummary:
        """Return one clip."""
        with self._index.connection() as db:
            row = query.find_clip_summary(db, ref)
        if row is None:
            raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(ref)))
        return row

    def list_files(self, ref: str) -> list[ClipFile]:
        """Return every file of a clip: itself, its candidates, its lines."""
        with self._index.connection() as db:
            parts = query.list_clip_files(db, ref)
        if not parts:
            raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(ref)))
        return parts

    def resolve_path(self, path: str) -> Path:
        """Return an indexed file by its path below the results.

        Raises AppError for any other path.
        """
        with self._index.connection() as db:
            known = query.is_indexed(db, path)
        file = self.layout.results / path
        if not known or not file.is_file():
            raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(path)))
        if not file.resolve().is_relative_to(self.layout.results.resolve()):
            raise AppError(
                f"{quote_for_message(path)} is a link that leads out of the results folder."
            )
        return file

    def read_metadata(self, path: str) -> TakeMetadata:
        """Read the metadata of a file, without speaker latents."""
        return read_metadata(self.resolve_path(path)).without_latents()

    def get_bars(self, paths: Sequence[str]) -> dict[str, str]:
        """Return small waveforms of indexed files; others are left out. Computed once per file."""
        with self._index.connection() as db:
            kept, missing = peaks.read_bars(db, paths)
        computed = {path: peaks.compute_bars(self.layout.results / path) for path in missing}
        if computed:
            with suppress(UnrecoverableError), self._index.transaction() as db:
                peaks.write_bars(db, computed)
        return {**kept, **computed}

    def list_cues(self, ref: str, *, words: bool = False) -> list[Cue]:
        """Return the subtitles of a clip.  words: with the times of their words."""
        if words:
            return list_word_cues(self.list_words(ref))
        return list_cues(self.layout, ref, self._find_metadata(ref))

    def list_words(self, ref: str) -> list[LineWords]:
        """Return the lines of a clip, with the times of their words where they are known."""
        return list_clip_words(self.layout, ref, self._find_metadata(ref))

    def _find_metadata(self, ref: str) -> TakeMetadata | None:
        row = self.get_clip(ref)
        return None if row.foreign else self.read_metadata(row.path)

    def read_line_takes(self, ref: str) -> LineTakesFile | None:
        """Return the lines of a clip with all their takes; None where they are not there."""
        self.get_clip(ref)
        return read_line_takes(OutputPath(clip_path=self.layout.results / ref))

    def set_starred(self, refs: Sequence[str], on: bool) -> None:
        """Add clips to the favorites, or remove them."""
        self._check_known(refs)
        self._update_stars(lambda stars: stars | set(refs) if on else stars - set(refs))

    def rename(self, ref: str, name: str) -> str:
        """Rename a clip with its candidates and lines and return its new ref.

        Raises AppError for an invalid or taken name.
        """
        self.get_clip(ref)
        final = self.layout.results / ref
        target = get_rename_target(final, name)
        if target == final:
            return ref
        new = target.relative_to(self.layout.results).as_posix()
        with self._index.transaction(), translate_write_errors(target):
            groups = FileGroups()
            group, taken = groups.find(final), groups.find(target).parts
            if not group.parts:
                raise AppError(f"{quote_for_message(ref)} no longer exists.")
            if taken and not taken[0].samefile(group.parts[0]):  # same: only the case differs
                raise AppError(
                    f"There is already a clip named {quote_for_message(target.name)}.",
                    code="name_taken",
                )
            move_all(group.get_moves(target))
        self._reindex([ref, new])
        self._move_stars({ref: new})
        return new

    def delete(self, refs: Sequence[str]) -> Deletion:
        """Move clips with their candidates and lines to the trash."""
        self._check_known(refs)
        with self._index.transaction() as db:
            chosen = list(dict.fromkeys(refs))
            stars = favorites.read_stars_from_index(db)
            deletion = trash.delete_clips(self.layout.results, self.layout.trash, chosen, stars)
        self._reindex(refs)
        self._move_stars(dict.fromkeys(refs))
        return deletion

    def restore(self, id: str | None = None) -> list[str]:
        """Restore a deletion, by default the latest; return the refs of its clips."""
        with self._index.transaction():
            deletion = trash.find_deletion(self.layout.trash, id)
            back = trash.restore_clips(self.layout.results, self.layout.trash, deletion)
        self._reindex([*back.values()])
        starred = {clip.ref for clip in deletion.clips if clip.starred}
        stars = [new for old, new in back.items() if old in starred]
        if stars:
            self.set_starred(stars, True)
        return list(back.values())

    def list_trash(self) -> list[Deletion]:
        """List the deletions in the trash, the latest first."""
        return trash.list_deletions(self.layout.trash)

    def compute_trash_size(self) -> int:
        """Return the bytes in the trash."""
        return tree_size(self.layout.trash)

    def empty_trash(self) -> int:
        """Delete the clips in the trash for good and return the freed bytes."""
        with self._index.transaction():
            return empty_trash(self.layout.trash)

    def export(self, refs: Sequence[str], report: ProgressReporter) -> Path:
        """Write clips with their metadata into a new zip file."""
        files = [self.resolve_path(self.get_clip(ref).path) for ref in dict.fromkeys(refs)]
        return export.export_zip(self.layout.exports, files, self.layout.voices, report)

    def list_matching_refs(self, search: Search) -> list[str]:
        """Return the refs of the matching clips, at most as many as can be exported at once."""
        with self._index.connection() as db:
            return query.list_refs(db, search, export.MAX_EXPORT_CLIPS)

    def filter_existing(self, refs: Sequence[str]) -> list[str]:
        """Return those of the refs that are in the index."""
        with self._index.connection() as db:
            known = query.filter_known_refs(db, refs)
        return [ref for ref in refs if ref in known]

    def count_unmeasured(self, encoder: str) -> int:
        """Return how many clips and candidates were not compared with their voice yet."""
        with self._index.connection() as db:
            return likeness.count_unmeasured(db, encoder)

    def list_unmeasured(self, encoder: str) -> list[UnmeasuredFile]:
        """List the clips and candidates that were not compared with their voice yet."""
        with self._index.connection() as db:
            return likeness.list_unmeasured(db, encoder)

    def save_likeness(self, measured: Mapping[UnmeasuredFile, float | None], encoder: str) -> None:
        """Save how alike clips are to their voice, None where that cannot be measured."""
        with self._index.revision_transaction() as db:
            likeness.write_likeness(db, measured, encoder)

    def _check_known(self, refs: Sequence[str]) -> None:
        if not refs:
            raise AppError(NO_CLIP_MESSAGE)
        known = set(self.filter_existing(refs))
        for ref in refs:
            if ref not in known:
                raise AppError(UNKNOWN_CLIP_MESSAGE.format(quote_for_message(ref)))

    def _reindex(self, refs: Sequence[str]) -> None:
        """Update these clips in the index; where the disk is full, the next scan does it."""
        with suppress(UnrecoverableError):
            self._reindex_files(refs)

    def _reindex_files(self, refs: Sequence[str]) -> None:
        results, groups = self.layout.results, FileGroups()
        paths: set[str] = set()
        with self._index.connection() as db:
            for ref in refs:
                paths.update(part.path for part in query.list_clip_files(db, ref))
        for ref in refs:
            files = groups.find(results / ref).iter_files()
            paths.update(file.relative_to(results).as_posix() for file in files)
        scanner.index_files(
            results,
            self._index,
            {path: scanner.compute_fingerprint(results / path) for path in sorted(paths)},
        )

    def _move_stars(self, moves: dict[str, str] | dict[str, None]) -> None:
        """Transfer stars to the new refs of clips, or remove them."""
        self._update_stars(
            lambda stars: (
                stars - set(moves)
                | {new for old, new in moves.items() if new is not None and old in stars}
            )
        )

    def _update_stars(self, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        with self._index.revision_transaction() as db:
            before = favorites.read_stars(self.layout.stars)
            after = change(before)
            if after != before:
                favorites.write_stars(self.layout.stars, after)
            favorites.write_stars_to_index(db, after)

    def _sync_stars(self) -> None:
        stars = favorites.read_stars(self.layout.stars)
        with self._index.connection() as db:
            known = favorites.read_stars_from_index(db)
        if stars != known:
            with self._index.revision_transaction() as db:
                favorites.write_stars_to_index(db, favorites.read_stars(self.layout.stars))

    def _scan_in_background(self) -> None:
        problem = ""
        try:
            self.scan(ProgressReporter(self._on_progress))
        except (AppError, OSError) as cause:
            problem = str(cause)
        finally:
            self._scan_status = ScanStatus(problem=problem)

    def _on_progress(self, event: ProgressEvent) -> None:
        self._scan_status = ScanStatus(running=True, done=event.done, total=event.total or 0)

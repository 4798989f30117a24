"""The history: every clip that was spoken, to be found, kept in order and taken up again."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.report import Event, Reporter
from studio.errors import StudioError, writing_to
from studio.history_bin import (
    Deletion,
    delete,
    deletions,
    find_deletion,
    move_all,
    restore,
    size_of,
)
from studio.history_export import MOST_CLIPS, export_zip
from studio.history_family import Folders, parts_of, renamed, target_of
from studio.history_index import Index
from studio.history_query import (
    PAGE,
    Choices,
    Listing,
    Part,
    Row,
    Search,
    choices,
    find,
    is_known,
    known_of,
    parts_in_order,
    refs_of,
    row_of,
)
from studio.history_scan import anything_changed, read_files, scan, seen_of
from studio.history_stars import index_stars, indexed_stars, read_stars, write_stars
from studio.layout import Layout, shown
from studio.results import LINES
from studio.tags import read_record
from studio.takes import TakeRecord

LOOK_S = 1.5  # seconds between two looks at the folders, however many pages are open
WHOLE_LOOK_S = 60.0  # and at every file: a clip may be changed in place
NO_CLIP = "Choose at least one clip."
NO_SUCH = "There is no clip {} in the history. It may have gone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
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

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._index = Index(layout.history)
        self._scanning = threading.Lock()
        self._looking = Looking()
        self._looked = self._looked_whole = float("-inf")

    @classmethod
    def open(cls, layout: Layout) -> History:
        """Open the index, or make an empty one; `refresh` or `scan` fills it."""
        return cls(layout)

    @property
    def revision(self) -> int:
        """A number that grows with every change that a list would show."""
        return self._index.revision

    @property
    def looking(self) -> Looking:
        """How far the look at the disk in the background is."""
        return self._looking

    def refresh(self) -> None:
        """See in the background whether clips came or went; returns at once.

        Cheap enough for a timer: mostly it only compares the times of folders.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S or self._scanning.locked():
            return
        self._looked = now
        whole = now - self._looked_whole > WHOLE_LOOK_S
        if whole or self.has_changed():
            self._looked_whole = now if whole else self._looked_whole
            threading.Thread(target=self._scan_quietly, name="history", daemon=True).start()

    def has_changed(self) -> bool:
        """Say whether a clip may have come or gone on disk since the last look."""
        return anything_changed(self.layout.results, self._index)

    def scan(self, report: Reporter) -> int:
        """Bring the index up to date; return how many files came, changed or went."""
        with self._scanning:
            changed = scan(self.layout.results, self._index, report)
            self._take_over_stars()
            return changed

    def catch_up(self, report: Reporter) -> None:
        """Bring the index up to date where clips came or went; cheap where none did."""
        if self.has_changed():
            self.scan(report)

    def rebuild(self, report: Reporter) -> int:
        """Forget the index and make it anew from the clips."""
        with self._index.writing() as db:
            for table in ("files", "folders", "stars"):
                db.execute(f"delete from {table}")
        return self.scan(report)

    def find(self, search: Search, start: int = 0, count: int = PAGE) -> Listing:
        """Return one page of the clips that fit, and how many there are."""
        with self._index.reading() as db:
            return find(db, search, start, count)

    def choices(self) -> Choices:
        """Return the voices, engines and models there are clips of."""
        with self._index.reading() as db:
            return choices(db)

    def row(self, ref: str) -> Row:
        """Return one clip as lists show it."""
        with self._index.reading() as db:
            row = row_of(db, ref)
        if row is None:
            raise StudioError(NO_SUCH.format(shown(ref)))
        return row

    def parts(self, ref: str) -> list[Part]:
        """Return every file of a clip: itself, its candidates, its lines."""
        with self._index.reading() as db:
            parts = parts_in_order(db, ref)
        if not parts:
            raise StudioError(NO_SUCH.format(shown(ref)))
        return parts

    def file(self, path: str) -> Path:
        """Return the file of a clip, a candidate or a line by its path below the results.

        Raises StudioError for whatever is no clip of the history.
        """
        with self._index.reading() as db:
            known = is_known(db, path)
        file = self.layout.results / path
        if not known or not file.is_file():
            raise StudioError(NO_SUCH.format(shown(path)))
        if not file.resolve().is_relative_to(self.layout.results.resolve()):
            raise StudioError(f"{shown(path)} leads out of the results and is left alone.")
        return file

    def record(self, path: str) -> TakeRecord:
        """Read how a clip was spoken, from the clip itself."""
        return read_record(self.file(path)).without_latents()

    def star(self, refs: Sequence[str], on: bool) -> None:
        """Give clips a star, or take it away."""
        self._check_all(refs)
        with self._index.writing() as db:
            stars = read_stars(self.layout.stars)
            stars = stars | set(refs) if on else stars - set(refs)
            write_stars(self.layout.stars, stars)
            index_stars(db, stars)

    def rename(self, ref: str, name: str) -> str:
        """Give a clip, its candidates and its lines another name; return its new ref.

        Raises StudioError for a name that cannot be one, or is taken.
        """
        self.row(ref)
        final = self.layout.results / ref
        target = target_of(final, name)
        if target == final:
            return ref
        new = target.relative_to(self.layout.results).as_posix()
        with self._index.noting(), writing_to(target):
            parts = parts_of(final)
            if not parts:
                raise StudioError(f"{shown(ref)} is not there any more.")
            if parts_of(target) and not _is_same(parts_of(target)[0], parts[0]):
                raise StudioError(f"There is already a clip named {shown(target.name)}.")
            move_all((part, renamed(part, final, target)) for part in parts)
        self._reread([ref, new])
        self._move_stars({ref: new})
        return new

    def delete(self, refs: Sequence[str]) -> Deletion:
        """Move clips with all that belongs to them into the bin."""
        self._check_all(refs)
        with self._index.noting() as db:
            chosen = list(dict.fromkeys(refs))
            stars = indexed_stars(db)
            deletion = delete(self.layout.results, self.layout.bin, chosen, stars)
        self._reread(refs)
        self._move_stars(dict.fromkeys(refs))
        return deletion

    def undo(self, id: str | None = None) -> list[str]:
        """Bring back what was deleted last, or the deletion of that id; return where it is now."""
        with self._index.noting():
            deletion = find_deletion(self.layout.bin, id)
            back = restore(self.layout.results, self.layout.bin, deletion)
        self._reread([*back.values()])
        starred = {clip.ref for clip in deletion.clips if clip.starred}
        stars = [new for old, new in back.items() if old in starred]
        if stars:
            self.star(stars, True)
        return list(back.values())

    def binned(self) -> list[Deletion]:
        """List what is in the bin, the latest first."""
        return deletions(self.layout.bin)

    def bin_size(self) -> int:
        """Count the bytes in the bin."""
        return size_of(self.layout.bin)

    def empty_bin(self) -> int:
        """Delete for good what is in the bin; return how many bytes that freed."""
        freed = self.bin_size()
        with self._index.noting(), writing_to(self.layout.bin):
            if self.layout.bin.is_dir():
                shutil.rmtree(self.layout.bin)
        return freed

    def export(self, refs: Sequence[str], report: Reporter) -> Path:
        """Write clips into a new zip file with the settings of each."""
        files = [self.file(self.row(ref).path) for ref in dict.fromkeys(refs)]
        return export_zip(self.layout.exports, files, report)

    def matching(self, search: Search) -> list[str]:
        """Name all clips that fit a search, as many as can be exported at once."""
        with self._index.reading() as db:
            return refs_of(db, search, MOST_CLIPS)

    def still_there(self, refs: Sequence[str]) -> list[str]:
        """Return those of the clips that have not gone since."""
        with self._index.reading() as db:
            known = known_of(db, refs)
        return [ref for ref in refs if ref in known]

    def _check_all(self, refs: Sequence[str]) -> None:
        if not refs:
            raise StudioError(NO_CLIP)
        there = set(self.still_there(refs))
        for ref in refs:
            if ref not in there:
                raise StudioError(NO_SUCH.format(shown(ref)))

    def _reread(self, refs: Sequence[str]) -> None:
        """Bring these clips in the index up to date with the disk."""
        results, folders = self.layout.results, Folders()
        paths: set[str] = set()
        with self._index.reading() as db:
            for ref in refs:
                paths.update(part.path for part in parts_in_order(db, ref))
        for ref in refs:
            for part in parts_of(results / ref, folders):
                inside = part.iterdir() if part.name.endswith(LINES) and part.is_dir() else [part]
                paths.update(file.relative_to(results).as_posix() for file in inside)
        read_files(results, self._index, {path: seen_of(results / path) for path in sorted(paths)})

    def _move_stars(self, moves: dict[str, str] | dict[str, None]) -> None:
        """Let stars follow clips to their new names, or go with them."""
        with self._index.writing() as db:
            stars = read_stars(self.layout.stars)
            if stars.isdisjoint(moves):
                return
            news = {new for old, new in moves.items() if new is not None and old in stars}
            stars = stars - set(moves) | news
            write_stars(self.layout.stars, stars)
            index_stars(db, stars)

    def _take_over_stars(self) -> None:
        stars = read_stars(self.layout.stars)
        with self._index.reading() as db:
            known = indexed_stars(db)
        if stars != known:
            with self._index.writing() as db:
                index_stars(db, read_stars(self.layout.stars))

    def _scan_quietly(self) -> None:
        """Scan for people who did not ask for it: what goes wrong is told, not raised."""
        problem = ""
        try:
            self._looking = Looking(running=True)
            self.scan(Reporter(self._hear))
        except (StudioError, OSError) as cause:
            problem = str(cause)
        finally:
            self._looking = Looking(problem=problem)

    def _hear(self, event: Event) -> None:
        self._looking = Looking(running=True, done=event.done, total=event.total or 0)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names lead to one file: only their letters' case differs, and the disk's not."""
    return one.exists() and other.exists() and one.samefile(other)

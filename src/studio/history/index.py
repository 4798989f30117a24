"""The SQLite index of all clips, a cache that can be deleted and rebuilt from the files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from uuid import uuid4

from core.errors import (
    AppError,
    UnrecoverableError,
    describe_sqlite_error,
    translate_write_errors,
)
from core.files import create_private_file, make_private_folder
from studio.synthesis.output_paths import RANKS_PER_LINE, find_owner_suffix

SCHEMA_VERSION = 3  # an index of another version is rebuilt
BUSY_TIMEOUT_S = 10.0  # wait for another process that writes
DATABASE_ERROR_ADVICE = "Free some disk space, or delete the file: it is rebuilt."
VALUES_PER_STATEMENT = 500

_SCHEMA = """
create table files(
    id integer primary key,
    path text not null unique,
    stem text not null,
    suffix text not null,
    family text not null default '',
    rank integer not null,
    head integer not null default 0,
    seen text not null,
    size integer not null,
    name text not null,
    voice text not null,
    speaker text not null default '',
    text text not null default '',
    engine text not null default '',
    bundle text not null default '',
    seed text not null default '',
    score real,
    seconds real,
    created real not null,
    foreign_ integer not null default 0,
    likeness real,
    likeness_by text not null default ''
);
create index by_family on files(family);
create index by_stem on files(stem);
create index newest on files(head, created);
create table stars(family text primary key) without rowid;
create table peaks(path text primary key, seen text not null, bars text not null) without rowid;
create table folders(path text primary key, mtime integer not null) without rowid;
create table facts(revision integer not null);
insert into facts values(0);
create virtual table words using fts5(
    text, name, content='files', content_rowid='id', prefix='1 2 3',
    tokenize="unicode61 remove_diacritics 2"
);
create trigger file_comes after insert on files begin
    insert into words(rowid, text, name) values(new.id, new.text, new.name);
end;
create trigger file_goes after delete on files begin
    insert into words(words, rowid, text, name) values('delete', old.id, old.text, old.name);
end;
"""

COLUMNS = (
    *("path", "stem", "suffix", "rank", "seen", "size", "name", "voice", "speaker", "text"),
    *("engine", "bundle", "seed", "score", "seconds", "created", "foreign_"),
)
ColumnValues = Mapping[str, str | int | float | None]  # one value per column


class HistoryIndex:
    """The index file; opens a connection for each use, so any thread may call it.

    Where the disk is full, the index is kept in memory until the program ends: clips can still be
    listed, and deleted to make room.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._memory: sqlite3.Connection | None = None  # keeps the index in memory alive
        self._memory_uri = f"file:history-{uuid4().hex}?mode=memory&cache=shared"
        self._memory_lock = RLock()
        self._prepare()

    @property
    def is_in_memory(self) -> bool:
        """Whether the index could not be kept on the disk."""
        return self._memory is not None

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Open the index for reading."""
        with self._memory_lock if self.is_in_memory else nullcontext():
            try:
                with closing(self._connect()) as db:
                    yield db
            except sqlite3.DatabaseError as cause:
                kind = UnrecoverableError if is_disk_refusing(cause) else AppError
                if is_disk_refusing(cause):
                    self._move_to_memory()
                raise kind(
                    f"Cannot use {self.path}: {describe_sqlite_error(cause)}. "
                    f"{DATABASE_ERROR_ADVICE}"
                ) from cause

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the index for writing, exclusively among all processes; roll back on errors."""
        with self.connection() as db:
            db.execute("begin immediate")
            yield db
            db.commit()

    @contextmanager
    def revision_transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the index for a change that open pages have to show."""
        with self.transaction() as db:
            yield db
            db.execute("update facts set revision = revision + 1")

    @property
    def revision(self) -> int:
        """The number of changes so far."""
        with self.connection() as db:
            return int(db.execute("select revision from facts").fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        if not self.is_in_memory and not self.path.is_file():
            self._prepare()
        return self._open_connection()

    def _open_connection(self) -> sqlite3.Connection:
        if self.is_in_memory:
            db = sqlite3.connect(self._memory_uri, uri=True, isolation_level=None)
        else:
            db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.execute("pragma synchronous = normal")
        return db

    def _move_to_memory(self) -> None:
        with self._memory_lock:
            if self._memory is None:
                kept = sqlite3.connect(self._memory_uri, uri=True, check_same_thread=False)
                kept.executescript(f"begin; {_SCHEMA} commit;")
                self._memory = kept

    def _prepare(self) -> None:
        """Create the tables, again where the file is damaged or of another version."""
        try:
            with translate_write_errors(self.path):
                make_private_folder(self.path.parent)
                if not self._is_current():
                    self._recreate()
        except AppError as cause:
            if not isinstance(cause, UnrecoverableError):  # it is not that the disk is full
                raise
            self._move_to_memory()
        except sqlite3.OperationalError as cause:
            if not is_disk_refusing(cause):
                raise AppError(
                    f"Cannot use {self.path}: {describe_sqlite_error(cause)}. "
                    f"{DATABASE_ERROR_ADVICE}"
                ) from cause
            self._move_to_memory()

    def _is_current(self) -> bool:
        if not self.path.is_file():
            return False
        try:
            with closing(self._open_connection()) as db:
                version = db.execute("pragma user_version").fetchone()[0]
                sound = db.execute("pragma quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError as cause:
            if is_disk_refusing(cause):
                raise
            return False
        return bool(version == SCHEMA_VERSION and sound)

    def _recreate(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        create_private_file(self.path)
        with closing(self._open_connection()) as db:
            db.execute("pragma journal_mode = wal")
            db.executescript(f"begin; {_SCHEMA} pragma user_version = {SCHEMA_VERSION}; commit;")


def is_disk_refusing(cause: sqlite3.Error) -> bool:
    """Return whether the disk, and not the file, is what SQLite complains about."""
    signs = ("disk is full", "disk I/O error", "unable to open database file")
    return any(sign in str(cause) for sign in signs)


def upsert_files(db: sqlite3.Connection, files: Iterable[ColumnValues]) -> None:
    """Insert or replace files."""
    rows = list(files)
    delete_files(db, [str(row["path"]) for row in rows])
    names, marks = ", ".join(COLUMNS), ", ".join(f":{name}" for name in COLUMNS)
    db.executemany(f"insert into files({names}) values({marks})", rows)
    update_families(db, {str(row["stem"]) for row in rows})


def delete_files(db: sqlite3.Connection, paths: Sequence[str]) -> None:
    """Remove files from the index."""
    stems: set[str] = set()
    for some in iter_batches(paths):
        marks = ", ".join("?" * len(some))
        found = db.execute(f"select distinct stem from files where path in ({marks})", some)
        stems.update(row["stem"] for row in found)
        db.execute(f"delete from files where path in ({marks})", some)
        db.execute(f"delete from peaks where path in ({marks})", some)
    update_families(db, stems)


def update_families(db: sqlite3.Connection, stems: Iterable[str]) -> None:
    """Assign the files of these stems to clips; the first file of each represents it in lists.

    Needed for all files of a stem, since takes of lines may be indexed before their clip.
    """
    changes: list[tuple[str, bool, int]] = []
    for some in iter_batches(sorted(stems)):
        marks = ", ".join("?" * len(some))
        found = db.execute(f"select * from files where stem in ({marks}) order by rank, path", some)
        named: dict[str, list[sqlite3.Row]] = {}
        for row in found:
            named.setdefault(row["stem"], []).append(row)
        for files in named.values():
            changes += _iter_changed_families(files)
    db.executemany("update files set family = ?, head = ? where id = ?", changes)


def _iter_changed_families(files: Sequence[sqlite3.Row]) -> Iterator[tuple[str, bool, int]]:
    """Yield (family, is head, id) of the files of one stem, in order, that changed."""
    clips = {row["suffix"] for row in files if row["rank"] < RANKS_PER_LINE}
    headed: set[str] = set()
    for row in files:
        is_clip = row["rank"] < RANKS_PER_LINE
        suffix = row["suffix"] if is_clip else find_owner_suffix(row["suffix"], clips)
        family = row["stem"] + suffix
        is_head = family not in headed
        headed.add(family)
        if (family, is_head) != (row["family"], bool(row["head"])):
            yield family, is_head, row["id"]


def iter_batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split a list into parts that fit into one statement."""
    for start in range(0, len(values), VALUES_PER_STATEMENT):
        yield values[start : start + VALUES_PER_STATEMENT]

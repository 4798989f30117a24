"""On a full disk the history still lists clips, and every error is a sentence."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import soundfile

from core.errors import UnrecoverableError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.history import index
from studio.history.index import HistoryIndex
from studio.history.query import Search
from studio.history.service import History

QUIET = ProgressReporter()
REFUSALS = ("database or disk is full", "disk I/O error", "unable to open database file")


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    """A studio with three clips."""
    layout = ProjectPaths.from_root(tmp_path)
    (layout.results / "alice").mkdir(parents=True)
    for name in ("a", "b", "c"):
        soundfile.write(layout.results / "alice" / f"{name}.wav", [0.0] * 99, 24_000)
    return layout


def refs(history: History) -> list[str]:
    return sorted(row.ref for row in history.find(Search()).rows)


@pytest.mark.parametrize("message", REFUSALS)
def test_without_room_for_an_index_clips_are_listed_and_deleted(
    layout: ProjectPaths, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect

    def refuse(path: Any, **options: Any) -> sqlite3.Connection:
        if options.get("uri"):
            return real(path, **options)
        raise sqlite3.OperationalError(message)

    monkeypatch.setattr(index.sqlite3, "connect", refuse)
    history = History.open(layout)
    assert history.scan(QUIET) == 3
    assert refs(history) == ["alice/a.wav", "alice/b.wav", "alice/c.wav"]
    history.set_starred(["alice/b.wav"], True)
    deletion = history.delete(["alice/a.wav"])
    assert refs(history) == ["alice/b.wav", "alice/c.wav"]
    assert history.empty_trash() > 0 and deletion.clips[0].ref == "alice/a.wav"
    assert history.rename("alice/c.wav", "d") == "alice/d.wav"


def test_an_index_in_memory_serves_several_threads(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History.open(layout)
    history._index._move_to_memory()
    problems: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                history.scan(QUIET)
                assert len(refs(history)) == 3
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_an_index_in_memory_is_new_though_one_before_it_is_still_open(tmp_path: Path) -> None:
    kept = []
    for _ in range(3):  # each is likely to get the address, and so the id(), of the one before
        one = index.HistoryIndex(tmp_path / "history.sqlite")
        one._move_to_memory()
        kept.append(one._memory)
        del one
    assert all(kept)


def test_an_index_that_may_not_grow_is_replaced_by_one_in_memory(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History.open(layout)
    history.scan(QUIET)
    with closing(sqlite3.connect(layout.history_db)) as db:
        (pages,) = db.execute("pragma page_count").fetchone()
    real = HistoryIndex._open_connection

    def limited(self: HistoryIndex) -> sqlite3.Connection:
        db = real(self)
        if not self.is_in_memory:
            db.execute(f"pragma max_page_count = {pages}")
        return db

    monkeypatch.setattr(HistoryIndex, "_open_connection", limited)
    for number in range(300):
        name = f"{number}-{'long name ' * 9}.wav"
        soundfile.write(layout.results / "alice" / name, [0.0], 24_000)
    with pytest.raises(UnrecoverableError, match=r"the disk is full\. Free some disk space"):
        history.scan(QUIET)
    assert history._index.is_in_memory and history.scan(QUIET) == 303
    assert history.find(Search()).total == 303


def test_many_new_clips_are_answered_at_once_and_read_in_the_background(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.history.service.MAX_FILES_AT_ONCE", 2)
    started: list[int] = []
    monkeypatch.setattr(History, "_start_scan", lambda self, total=0: started.append(total))
    history = History.open(layout)
    history.update()
    assert len(refs(history)) == 2 and started == [1]
    history.scan(QUIET)
    history.update()
    assert len(refs(history)) == 3 and started == [1]


def test_the_scan_in_the_background_reports_how_far_it_is(layout: ProjectPaths) -> None:
    history = History.open(layout)
    history._start_scan(total=3)
    assert history.scan_status.running
    for thread in threading.enumerate():
        if thread.name == "history":
            thread.join()
    assert not history.scan_status.running and len(refs(history)) == 3

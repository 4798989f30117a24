"""Training runs that were deleted lie in a bin and come back; a running one is not deleted."""

from __future__ import annotations

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.detached import is_alive
from jobs.file_lock import acquire_lock
from studio.training_runs.trash import delete_run, list_deleted_runs, restore_run


@pytest.fixture
def run(layout: ProjectPaths) -> str:
    folder = layout.run("alice", "001")
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text("{}")
    return folder.name


def test_a_deleted_run_comes_back_as_it_was(layout: ProjectPaths, run: str) -> None:
    deleted = delete_run(layout, "alice", run)
    assert not layout.run("alice", run).exists()
    assert list_deleted_runs(layout, "alice")[0].id == deleted.id
    assert restore_run(layout, "alice", deleted.id) == run
    assert (layout.run("alice", run) / "events.jsonl").read_text() == "{}"
    assert list_deleted_runs(layout, "alice") == []


def test_a_run_does_not_come_back_over_another(layout: ProjectPaths, run: str) -> None:
    deleted = delete_run(layout, "alice", run)
    layout.run("alice", run).mkdir()
    with pytest.raises(AppError, match="already a run '001'"):
        restore_run(layout, "alice", deleted.id)


def test_a_running_run_and_one_that_is_not_there_are_not_deleted(
    layout: ProjectPaths, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "studio.training_runs.trash.wait_for_exit", lambda folder: not is_alive(folder)
    )
    held = acquire_lock(layout.run("alice", run) / "lock")
    assert held is not None
    with pytest.raises(AppError, match="still running"):
        delete_run(layout, "alice", run)
    held.release()
    with pytest.raises(AppError, match="There is no run '002'"):
        delete_run(layout, "alice", "002")


@pytest.mark.parametrize("id", ["", "..", "../001", "20261121-101010-abcdef", "x"])
def test_an_id_that_is_none_is_refused(layout: ProjectPaths, run: str, id: str) -> None:
    with pytest.raises(AppError, match="There is no deleted run"):
        restore_run(layout, "alice", id)

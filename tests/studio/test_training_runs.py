"""Training runs: begun, watched, stopped, gone on with; all of it read from their folders."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from jobs import detached
from studio.training_runs.service import TrainingRunService
from support.training_run_helpers import make_dataset, until, use_fake_trainer


def until_free(runs: TrainingRunService) -> None:
    """Wait until no training computes."""
    end = time.monotonic() + 20
    while runs.is_training:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def runs(layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingRunService]:
    use_fake_trainer(monkeypatch)
    opened = TrainingRunService(layout)
    yield opened
    for row in opened.list():
        opened.terminate(row.dataset, row.name, 0.0)


def test_a_run_is_begun_and_done_and_a_restart_shows_the_same(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout)
    assert runs.start("alice").name == "1"
    view = until(runs, "alice", "1", "done")
    assert (view.step, view.steps, view.device, view.clips) == (40, 40, "cpu", 8)
    assert [item.step for item in view.checkpoints] == [10, 20, 30, 40]
    assert view.best == 40 and view.why_best.startswith("Step 40") and view.message
    assert len(view.curve("loss")) == 40 and view.curve("validation")[0] == (10, 2.75)
    assert view.samples[0].path.name == "000010.wav"
    assert TrainingRunService(layout).view("alice", "1") == view
    (row,) = TrainingRunService(layout).list()
    assert (row.dataset, row.name, row.state, row.step, row.best) == (
        "alice",
        "1",
        "done",
        40,
        40,
    )


def test_memory_is_made_room_for_before_a_run_begins(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_trainer(monkeypatch)
    make_dataset(layout)
    asked: list[bool] = []
    lock = layout.run("alice", "1") / "lock"
    runs = TrainingRunService(layout, make_room=lambda: asked.append(lock.exists()))
    runs.start("alice")
    until(runs, "alice", "1", "done")
    assert asked == [False]


def test_a_stopped_run_goes_on_and_what_it_does_again_is_drawn_once(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    folder = make_dataset(layout, mode="wait")
    runs.start("alice", "first")
    view = until(runs, "alice", "first", "running", step=15)
    assert view.seconds_per_step and view.memory == 1_000_000 and runs.is_training
    runs.stop("alice", "first")
    view = until(runs, "alice", "first", "stopped")
    assert view.can_resume and view.message == "Stopped."
    until_free(runs)
    (folder / "mode").write_text("done")
    runs.resume("alice", "first")
    view = until(runs, "alice", "first", "done")
    assert [step for step, _ in view.curve("loss")] == list(range(1, 41))
    with pytest.raises(AppError, match="is done"):
        runs.resume("alice", "first")


def test_a_killed_trainer_is_reported_in_words_and_goes_on(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    folder = make_dataset(layout, mode="killed")
    runs.start("alice")
    view = until(runs, "alice", "1", "died")
    assert view.step == 15 and view.cause == "out_of_host_memory" and view.is_over
    assert "ended unexpectedly: it was killed (signal 9)" in view.message
    assert "Resume" in view.message
    (folder / "mode").write_text("done")
    runs.resume("alice", "1")
    view = until(runs, "alice", "1", "done")
    assert [step for step, _ in view.curve("loss")] == list(range(1, 41)) and not view.cause


def test_a_run_that_failed_shows_its_own_message(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout, mode="failed")
    runs.start("alice")
    view = until(runs, "alice", "1", "failed")
    assert (view.message, view.cause, view.can_resume) == ("The loss is NaN.", "not_finite", True)


def test_a_trainer_that_cannot_begin_leaves_its_last_words(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout, mode="broken")
    runs.start("alice")
    view = until(runs, "alice", "1", "died")
    assert "exit code 1" in view.message and "no such library" in view.details
    assert view.steps == 40


def test_one_run_computes_at_a_time_and_the_next_waits(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout, "alice", "wait")
    make_dataset(layout, "bob", "wait")
    runs.start("alice")
    until(runs, "alice", "1", "running", step=15)
    assert runs.start("bob").state == "waiting"
    with pytest.raises(AppError, match="is waiting already"):
        runs.resume("bob", "1")
    assert runs.view("bob", "1").steps == 40
    runs.stop("bob", "1")
    assert until(runs, "bob", "1", "stopped").step == 0
    runs.stop("alice", "1")
    until(runs, "alice", "1", "stopped")


def test_two_runs_of_one_name_are_refused_in_whatever_case(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    make_dataset(layout, mode="wait")
    runs.start("alice", "Night")
    with pytest.raises(AppError, match="already a run 'night' of alice") as refusal:
        runs.start("alice", "night")
    assert refusal.value.code == "name_taken"
    with pytest.raises(AppError, match="is running already"):
        until(runs, "alice", "Night", "running") and runs.resume("alice", "Night")


@pytest.mark.parametrize("name", ["../x", "a/b", ".bin", "", "nobody"])
def test_a_dataset_or_run_that_is_not_there_is_refused(runs: TrainingRunService, name: str) -> None:
    with pytest.raises(AppError, match=r"There is no dataset|is not a valid dataset name"):
        runs.start(name)
    with pytest.raises(AppError, match=r"There is no run|is not a valid"):
        runs.view("alice", name)
    with pytest.raises(AppError, match=r"There is no run|is not a valid"):
        runs.stop(name, "1")


def test_a_run_needs_a_whole_configuration_and_the_model_it_names(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    folder = make_dataset(layout)
    shutil.rmtree(layout.models / "starter")
    with pytest.raises(AppError, match="no model 'starter'"):
        runs.start("alice")
    (folder / "train.yaml").write_bytes(b"\xff\x00 nonsense")
    with pytest.raises(AppError, match=r"train\.yaml"):
        runs.start("alice")
    (folder / "train.yaml").unlink()
    with pytest.raises(AppError, match="Generate its configuration first"):
        runs.start("alice")
    assert runs.list() == [] and not (folder / "runs").exists()


def test_a_run_that_would_end_badly_is_refused_before_it_begins(layout: ProjectPaths) -> None:
    folder = make_dataset(layout)
    with pytest.raises(AppError, match=r"no config\.json"):
        TrainingRunService(layout).start("alice")
    assert not (folder / "runs").exists()


def test_a_dataset_deleted_in_mid_run_ends_in_words(
    runs: TrainingRunService, layout: ProjectPaths
) -> None:
    folder = make_dataset(layout, mode="wait")
    runs.start("alice")
    until(runs, "alice", "1", "running", step=15)
    group = detached.read_process_status(folder / "runs" / "1").group
    shutil.rmtree(folder)
    with pytest.raises(AppError, match=r"There is no run"):
        runs.view("alice", "1")
    assert runs.list() == []
    os.killpg(group, signal.SIGKILL)


def test_a_run_whose_disk_is_full_at_the_start_is_refused_and_leaves_nothing(
    runs: TrainingRunService, layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_dataset(layout)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jobs.detached.start_detached", full)
    with pytest.raises(AppError, match="the disk is full"):
        runs.start("alice")
    assert not list((folder / "runs").iterdir())

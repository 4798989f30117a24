"""The diary of a run: read as it grows, whatever lies in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.event_log_reader import EventLogReader
from studio.training_runs.metrics import MAX_CURVE_POINTS, downsample_points, smooth_points
from studio.training_runs.run_status import get_run_status

Tell = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    place.mkdir()
    return place


@pytest.fixture
def tell(folder: Path) -> Tell:
    """Write one event."""

    def write(kind: str, step: int, **data: object) -> None:
        line = {"kind": kind, "time": 1000.0 + step, "step": step, **data}
        with (folder / "events.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")

    return write


def diary(folder: Path) -> EventLogReader:
    return EventLogReader(folder / "events.jsonl")


def test_only_new_lines_are_read_and_a_half_written_one_waits(folder: Path, tell: Tell) -> None:
    reader = diary(folder)
    assert reader.read().step == 0
    tell("step", 1, stage="gpt", loss=2.0)
    assert reader.read().points["gpt", "loss"] == [(1, 2.0)]
    with (folder / "events.jsonl").open("a") as handle:
        handle.write('{"kind": "step", "time": 1002, "st')
    assert reader.read().step == 1
    with (folder / "events.jsonl").open("a") as handle:
        handle.write('ep": 2, "stage": "gpt", "loss": 1.5}\n')
    figures = reader.read()
    assert (figures.step, figures.points["gpt", "loss"], figures.invalid_lines) == (
        2,
        [(1, 2.0), (2, 1.5)],
        0,
    )


def test_junk_of_every_kind_is_passed_over(folder: Path, tell: Tell) -> None:
    tell("step", 1, stage="gpt", loss=2.0)
    junk = [
        b"\xff\xfe\x00\x01", b"[]", b"null", b"7", b'"step"', b"{}", b'{"kind": ["step"]}',
        b'{"kind": "nonsense", "step": 1}', b"[" * 100_000, b"x" * 2_500_000,
        b'{"kind": "step", "step": "5", "time": true, "loss": "low"}',
        b'{"kind": "step", "step": -5, "time": 1e999, "loss": NaN, "rate": Infinity}',
        b'{"kind": "sample", "step": 3, "path": 7, "wer": "x"}',
        b'{"kind": "checkpoint", "step": 3, "path": "../../etc", "bytes": 1.5, "loss": null}',
        b'{"kind": "end", "state": "glorious"}', b'{"kind": "begin", "steps": []}',
        b'{"kind": "step", "step": true}', b'{"kind": "step", "step": 1e3, "loss": 1}',
    ]  # fmt: skip
    with (folder / "events.jsonl").open("ab") as handle:
        handle.write(b"\n".join(junk) + b"\n")
    tell("step", 2, stage="gpt", loss=2**2000)
    tell("step", 3, stage="gpt", loss=1.0)
    figures = diary(folder).read()
    assert figures.points["gpt", "loss"][-1] == (3, 1.0) and figures.invalid_lines >= 10
    view = get_run_status("alice", folder, diary(folder))
    assert view.state == "died" and view.curve("loss")[-1] == (3, 1.0)


def test_a_path_in_a_diary_never_leads_out_of_the_run(folder: Path, tell: Tell) -> None:
    (folder.parent / "secret").mkdir()
    for number, path in enumerate(("../secret", "/etc/passwd", "..", "", "a\0b", "..\\secret"), 1):
        tell("checkpoint", number, path=path, bytes=1)
        tell("sample", number, path=path, text="")
    view = get_run_status("alice", folder, diary(folder))
    assert view.samples == () and not any(item.there for item in view.checkpoints)
    assert {item.path.parent for item in view.checkpoints} == {folder / "checkpoints"}


def test_a_diary_that_was_replaced_is_read_anew_and_one_that_vanished_keeps_what_was_read(
    folder: Path, tell: Tell
) -> None:
    reader = diary(folder)
    for step in (1, 2, 3):
        tell("step", step, stage="gpt", loss=1.0)
    assert reader.read().step == 3
    (folder / "events.jsonl").unlink()
    assert reader.read().step == 3
    tell("step", 1, stage="gpt", loss=5.0)
    assert reader.read().points["gpt", "loss"] == [(1, 5.0)]


def test_steps_that_are_done_again_replace_the_first_telling(folder: Path, tell: Tell) -> None:
    tell("begin", 0, steps=10, gpt_steps=10)
    for step in range(1, 6):
        tell("step", step, stage="gpt", loss=9.0)
    tell("checkpoint", 2, path="checkpoints/2")
    tell("checkpoint", 5, path="checkpoints/5")
    tell("begin", 2, steps=10, gpt_steps=10, resumed=True)
    figures = diary(folder).read()
    assert figures.points["gpt", "loss"] == [(1, 9.0), (2, 9.0)]
    assert list(figures.checkpoints) == [2] and figures.step == 2
    tell("begin", 0, steps=10, gpt_steps=10, resumed=False)
    assert diary(folder).read().points["gpt", "loss"] == []


def test_curves_are_thinned_with_first_and_last_and_smoothed_without_a_jump(
    folder: Path, tell: Tell
) -> None:
    points = [(step, 5.0) for step in range(1, 2_001)]
    thin = downsample_points(points)
    assert len(thin) == MAX_CURVE_POINTS and thin[0] == points[0] and thin[-1] == points[-1]
    assert sorted(set(thin)) == list(thin)
    assert downsample_points(points[:10]) == tuple(points[:10])
    assert {round(value, 9) for _, value in smooth_points(points)} == {5.0}


def test_the_time_left_follows_from_the_pace_of_late(
    folder: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.training_runs.run_status.is_alive", lambda _: True)
    monkeypatch.setattr("studio.training_runs.run_status.time.time", lambda: 1000.0 + 54)
    tell("begin", 0, steps=100, gpt_steps=100)
    for step in range(0, 51, 10):
        tell("step", step, stage="gpt", loss=1.0, seconds=0.9, memory=7)
    view = get_run_status("alice", folder, diary(folder))
    assert view.state == "running" and view.eta_s == 46 and view.seconds_per_step == 0.9


def test_learning_by_heart_is_pointed_out_with_a_checkpoint_that_is_there(
    folder: Path, tell: Tell
) -> None:
    for number, loss in enumerate((3.0, 2.0, 2.1, 2.2, 2.4), start=1):
        tell("validation", 10 * number, stage="gpt", loss=loss, train_loss=3 - number / 2)
        tell("checkpoint", 10 * number, path=f"checkpoints/{number}", bytes=5, loss=loss)
    for kept in (3, 5):
        (folder / "checkpoints" / str(kept)).mkdir(parents=True)
    view = get_run_status("alice", folder, diary(folder))
    assert view.overfit_since == 20 and "Take the checkpoint of step 30" in view.overfitting
    assert view.best == 30 and [item.best for item in view.checkpoints if item.there] == [
        True,
        False,
    ]


def test_the_best_checkpoint_is_explained_by_the_loss_of_its_own_stage(
    folder: Path, tell: Tell
) -> None:
    for step, loss in ((10, 2.5), (20, 2.25)):
        tell("validation", step, stage="gpt", loss=loss)
        tell("checkpoint", step, path=f"checkpoints/{step}", bytes=5, loss=loss)
        (folder / "checkpoints" / str(step)).mkdir(parents=True)
    tell("validation", 20, stage="diffusion", loss=0.125)  # before its first step
    view = get_run_status("alice", folder, diary(folder))
    assert view.best == 20
    assert view.why_best == (
        "Step 20: the lowest validation loss of the GPT stage (validation loss 2.250)."
    )
    assert [item.loss for item in view.checkpoints if item.best] == [2.25]
    for step, loss in ((30, 0.25), (40, 0.5)):
        tell("validation", step, stage="diffusion", loss=loss)
        tell("checkpoint", step, path=f"checkpoints/{step}", bytes=5, loss=loss)
        (folder / "checkpoints" / str(step)).mkdir(parents=True)
    view = get_run_status("alice", folder, diary(folder))
    assert view.best == 30 and view.why_best == (
        "Step 30: the lowest validation loss of the diffusion stage (validation loss 0.250)."
    )


def test_a_message_that_is_told_over_and_over_is_kept_once(folder: Path, tell: Tell) -> None:
    for step in range(500):
        tell("warning", step, message=f"odd {step % 2}")
        tell("note", step, message="same")
    figures = diary(folder).read()
    assert figures.warnings == ["odd 0", "odd 1"] and figures.notes == ["same"]

"""Where TensorBoard is installed, a run can be watched with it too."""

from __future__ import annotations

import threading
from importlib import import_module
from pathlib import Path

import pytest

from core.progress import ProgressReporter
from runs import event_log as finetune_board
from runs.event_log import TENSORBOARD_DIR, EventLogger, create_tensorboard_logger
from runs.events import CheckpointEvent, StepEvent, ValidationEvent


def tell(run: Path) -> None:
    diary = EventLogger(
        run=run,
        is_main_process=True,
        report=ProgressReporter(),
        log_to_tensorboard=create_tensorboard_logger(run),
    )
    for diary.step in (1, 2):
        diary.log(StepEvent(stage="gpt", loss=3.0 / diary.step, mel=2.5, rate=1e-4))
    diary.log(ValidationEvent(stage="gpt", loss=2.0, train_loss=None))
    diary.log(CheckpointEvent(path="checkpoints/000002", bytes=1, loss=2.0, best=True))


def test_curves_of_the_diary_are_curves_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    tell(tmp_path)
    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(tmp_path / TENSORBOARD_DIR)).Reload()
    assert [(e.step, round(e.value, 2)) for e in events.Scalars("gpt/step/loss")] == [
        (1, 3.0),
        (2, 1.5),
    ]
    assert [e.value for e in events.Scalars("gpt/validation/loss")] == [2.0]
    assert "gpt/validation/train_loss" not in events.Tags()["scalars"]


def test_the_writer_of_tensorboard_ends_with_the_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    before = set(threading.enumerate())
    log = create_tensorboard_logger(tmp_path)
    log({"kind": "step", "step": 1, "stage": "gpt", "loss": 2.0})
    log({"kind": "end", "step": 1, "state": "done"})
    assert set(threading.enumerate()) <= before
    assert list((tmp_path / TENSORBOARD_DIR).iterdir())


def test_without_tensorboard_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune_board, "find_spec", lambda name: None)
    tell(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]

"""What tests of training runs share: a dataset with a configuration, and waiting for a state."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from studio.layout import Layout
from studio.runs import Runs
from studio.runs_view import RunView
from training.config import (
    CONFIG_FILE,
    DataChoice,
    FinetuneConfig,
    Schedule,
    WeightsChoice,
    write_config,
)

TRAINER = (str(Path(__file__).with_name("fake_trainer.py")),)


def use_fake_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs be done by the trainer that only writes events; nothing is looked at before."""
    monkeypatch.setattr("studio.runs.TRAINER", TRAINER)
    monkeypatch.setattr("studio.runs.refuse_doomed", lambda layout, config, device: None)


def make_dataset(layout: Layout, name: str = "alice", mode: str = "done") -> Path:
    """Write a dataset that the fake trainer takes, and how it shall behave."""
    folder = layout.dataset(name)
    folder.mkdir(parents=True)
    (folder / "mode").write_text(mode)
    config = FinetuneConfig(
        dataset=DataChoice(name=name),
        weights=WeightsChoice(bundle="starter"),
        schedule=Schedule(steps=40),
    )
    write_config(folder / CONFIG_FILE, config)
    return folder


def until(runs: Runs, dataset: str, name: str, *states: str, step: int = 0) -> RunView:
    """Wait until a run is in one of the states, and at least at a step."""
    end = time.monotonic() + 30
    while True:
        view = runs.view(dataset, name)
        if view.state in states and view.step >= step:
            return view
        assert time.monotonic() < end, view
        time.sleep(0.02)

"""What tests of training runs share: a dataset with a configuration, and waiting for a state."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.paths import ProjectPaths
from studio.training_runs.run_status import RunStatus
from studio.training_runs.service import TrainingRunService
from training.finetuning.config.schema import (
    CONFIG_FILE,
    DatasetConfig,
    FinetuneConfig,
    ScheduleConfig,
    WeightsConfig,
    write_config,
)

TRAINER = (str(Path(__file__).with_name("fake_trainer.py")),)


def use_fake_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs be done by the trainer that only writes events; nothing is looked at before."""
    monkeypatch.setattr("studio.training_runs.service.TRAINER_COMMAND", TRAINER)
    monkeypatch.setattr(
        "studio.training_runs.service.raise_on_blocking_findings",
        lambda layout, config, device: None,
    )


def make_dataset(layout: ProjectPaths, name: str = "alice", mode: str = "done") -> Path:
    """Write a dataset that the fake trainer takes, and how it shall behave."""
    folder = layout.dataset(name)
    folder.mkdir(parents=True)
    (folder / "mode").write_text(mode)
    config = FinetuneConfig(
        dataset=DatasetConfig(name=name),
        weights=WeightsConfig(bundle="starter"),
        schedule=ScheduleConfig(steps=40),
    )
    write_config(folder / CONFIG_FILE, config)
    return folder


def until(
    runs: TrainingRunService, dataset: str, name: str, *states: str, step: int = 0
) -> RunStatus:
    """Wait until a run is in one of the states, and at least at a step."""
    end = time.monotonic() + 30
    while True:
        view = runs.view(dataset, name)
        if view.state in states and view.step >= step:
            return view
        assert time.monotonic() < end, view
        time.sleep(0.02)

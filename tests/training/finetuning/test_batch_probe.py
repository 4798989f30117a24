"""A step is tried on the longest clips, as large as it will be, and leaves nothing behind."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support.finetune_helpers import Case, make_case
from support.tiny_bundle import CODES
from tortoise.checkpoints.layout import compute_weights_id
from training.finetuning import train_step as finetune_update
from training.finetuning.batch_probe import StepProbeResult, probe_training_step
from training.finetuning.config.schema import CONFIG_FILE, read_config
from training.finetuning.train_step import StepExecutor, TrainingTask


def tried(case: Case, batch: int = 2, stage: Any = "gpt", **optimizer: Any) -> StepProbeResult:
    config = read_config(case.run / CONFIG_FILE)
    config = replace(config, optimizer=replace(config.optimizer, **optimizer))
    return probe_training_step(config, case.places.dataset, case.places.bundle, batch, stage)


def test_a_trial_tells_time_memory_and_how_foreign_the_codes_are(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    before = compute_weights_id(case.places.bundle)
    speaks, sounds = tried(case), tried(case, stage="diffusion")
    assert speaks.seconds > 0 and speaks.memory > 1_000_000
    assert speaks.chance == pytest.approx(math.log(CODES)) and sounds.chance is None
    assert 1.0 < speaks.loss < 6.0 and sounds.loss > 0
    assert compute_weights_id(case.places.bundle) == before
    assert [path.name for path in case.run.iterdir()] == [CONFIG_FILE]


def test_the_longest_clips_are_held_at_once_and_the_time_is_that_of_a_whole_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[list[str]] = []
    real = finetune_update._accumulate_gradients

    def look(stage: TrainingTask, work: Any, machine: StepExecutor) -> dict[str, Tensor]:
        held.append(sorted(clip.name for clip in work.examples))
        assert machine.micro_batch_size == 2
        return real(stage, work, machine)

    monkeypatch.setattr(finetune_update, "_accumulate_gradients", look)
    tried(make_case(tmp_path), batch=2)
    assert held == [["c2", "c3"]] * 2


def test_a_batch_that_does_not_fit_is_not_quietly_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(stage: TrainingTask, work: Any, machine: StepExecutor) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(finetune_update, "_accumulate_gradients", never)
    with pytest.raises(MemoryError):
        tried(make_case(tmp_path))

"""One step of learning: what is scaled is scaled back, and what overflows is skipped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from core.progress import Cancelled, ProgressReporter
from support.finetune_helpers import Case, make_case
from tortoise.checkpoints.loading import load_model
from training.finetuning.config.schema import CONFIG_FILE, read_config
from training.finetuning.dataset import extract_features, load_features
from training.finetuning.distributed import DistributedContext
from training.finetuning.gpt_task import GptTask, create_gpt_task
from training.finetuning.train_step import (
    StepExecutor,
    is_out_of_memory,
    training_step,
)


def stage_of(case: Case) -> GptTask:
    config, bundle = read_config(case.run / CONFIG_FILE), load_model(case.places.bundle)
    heard = load_features(
        extract_features(case.places.dataset, config.dataset, bundle, ProgressReporter())
    )
    return create_gpt_task(bundle, heard, config, torch.device("cpu"))


def machine(scale: float = 0.0) -> StepExecutor:
    return StepExecutor(
        distributed=DistributedContext(device=torch.device("cpu")),
        precision="fp32",
        micro_batch_size=2,
        grad_clip=1.0,
        seed=0,
        scaler=GradScaler("cpu", init_scale=scale or 1.0, enabled=scale > 0),
        check_cancelled=ProgressReporter().check_cancelled,
        warn=pytest.fail,
    )


def weights(stage: GptTask) -> Tensor:
    return stage.model.mel_head.weight.detach().clone()


def test_a_scaled_loss_moves_the_weights_as_one_that_is_not(tmp_path: Path) -> None:
    case = make_case(tmp_path)
    plain, scaled = stage_of(case), stage_of(case)
    told = [
        training_step(plain, 0, 1e-3, machine()),
        training_step(scaled, 0, 1e-3, machine(2.0**12)),
    ]
    assert told[1] == pytest.approx(told[0], rel=1e-4)
    torch.testing.assert_close(weights(scaled), weights(plain), rtol=1e-4, atol=1e-6)


def test_a_gradient_that_overflows_is_skipped_and_the_next_one_scaled_less(tmp_path: Path) -> None:
    stage, small = stage_of(make_case(tmp_path)), machine(3e38)
    before = weights(stage)
    told = training_step(stage, 0, 1e-3, small)
    assert not math.isfinite(told["gradient"]) and math.isfinite(told["loss"])
    assert torch.equal(weights(stage), before)
    assert small.scaler.get_scale() < 3e38


def test_the_long_gradient_is_reported_and_shortened(tmp_path: Path) -> None:
    stage, strict = stage_of(make_case(tmp_path)), machine()
    strict.grad_clip = 1e-3
    assert training_step(stage, 0, 1e-3, strict)["gradient"] > 0.01
    squares = [p.grad.square().sum() for p in stage.model.parameters() if p.grad is not None]
    assert float(torch.stack(squares).sum().sqrt()) == pytest.approx(1e-3, rel=1e-3)


def test_equal_steps_are_equal_whatever_was_drawn_before_and_draw_nothing_themselves(
    tmp_path: Path,
) -> None:
    case = make_case(tmp_path)
    curves = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = torch.rand(1)
        torch.manual_seed(seed)
        stage = stage_of(case)
        stage.model.gpt.drop.p = 0.3
        curves.append([training_step(stage, step, 1e-3, machine())["loss"] for step in range(2)])
        assert torch.equal(torch.rand(1), expected)
    assert curves[0] == curves[1]


class Asked:
    """Asks to stop when it was looked at so often."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled("stopped on request")


@pytest.mark.parametrize("after", [0, 1])
def test_a_stop_request_ends_a_step_at_its_next_micro_batch(tmp_path: Path, after: int) -> None:
    stage, executor = stage_of(make_case(tmp_path)), machine()
    executor.micro_batch_size, executor.check_cancelled = 1, Asked(after)
    before = weights(stage)
    with pytest.raises(Cancelled):
        training_step(stage, 0, 1e-3, executor)
    assert torch.equal(weights(stage), before)


def test_running_out_of_memory_is_known_by_every_name() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))

"""One step of learning: gradients of all its clips, added up, and what the optimizers do with them.

    machine = machine_of(config, ranks, stage.batch, report)
    figures = take_step(stage, step, rate, machine)

The rows of a step are dealt to processes and cut into parts that fit the memory; a step's loss is
the sum of its parts, so neither changes what is learned.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from core.progress import ProgressReporter
from training.finetuning.dataset import TrainingExample
from training.finetuning.distributed import DistributedContext
from training.finetuning.optim.divergence import DivergenceError
from training.finetuning.optim.freezing import get_trainable_parameters
from training.finetuning.optim.optimizers import clip_grad_norm, set_lr

AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class OutOfMemory(RuntimeError):
    """Not even a single clip fits the memory."""


class StepBatch(Protocol):
    """What one step looks at."""

    @property
    def examples(self) -> list[TrainingExample]: ...


class Stateful(Protocol):
    """What can be saved and gone on from. Any: state dicts are nested and heterogeneous."""

    def state_dict(self) -> Mapping[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


class TrainingTask(Protocol):
    """A network that learns. Any: each stage has work and parts of its own."""

    name: ClassVar[str]
    validation_metric: ClassVar[str]  # the figure of a step that `validate` measures, too
    optimizers: Sequence[torch.optim.Optimizer]

    @property
    def module(self) -> nn.Module: ...
    @property
    def stateful_parts(self) -> Mapping[str, Stateful]: ...
    def sample_batch(self, step: int) -> Any: ...
    def loss(self, work: Any, part: list[int]) -> tuple[Tensor, dict[str, Tensor]]: ...
    def after_step(self) -> None: ...
    def validate(self, clips: Sequence[TrainingExample]) -> float: ...
    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]: ...


@dataclass(kw_only=True, eq=False)
class StepExecutor:
    """What computes.

    rows: how many clips it holds at once; it halves when the memory runs out, which `warn` tells.
    check: raises `Cancelled` when asked to stop.
    """

    distributed: DistributedContext
    precision: str
    micro_batch_size: int
    grad_clip: float
    seed: int
    scaler: GradScaler
    check_cancelled: Callable[[], None]
    warn: Callable[[str], None]

    def autocast(self) -> AbstractContextManager[object]:
        """The precision that networks compute in."""
        dtype = AUTOCAST_DTYPES.get(self.precision)
        return torch.autocast(self.distributed.device.type, dtype) if dtype else nullcontext()

    def halve_batch(self) -> None:
        """Hold half as many clips from now on.  Raises OutOfMemory where one is too many."""
        if self.micro_batch_size == 1:
            raise OutOfMemory(
                "The memory does not hold a single clip. Choose lora, half precision, shorter "
                "clips or another device."
            )
        self.micro_batch_size = -(-self.micro_batch_size // 2)
        gc.collect()
        if self.distributed.device.type == "cuda":
            torch.cuda.empty_cache()
        self.warn(
            f"The memory was full, so {self.micro_batch_size} clips are held at once and more "
            f"of them added "
            "up: it takes longer, and the result is the same."
        )


def training_step(
    stage: TrainingTask, step: int, rate: float, machine: StepExecutor
) -> dict[str, float]:
    """Learn from one step's clips.

    Returns the loss, its parts and the norm of the gradient.
    Raises Diverged, before anything is changed, where one of them is not a number.
    """
    devices = [machine.distributed.device] if machine.distributed.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # dropout draws from the global generator
        torch.manual_seed((machine.seed * 1_000_003 + step * 64 + machine.distributed.rank) % 2**63)
        sums = _compute_gradients(stage, stage.sample_batch(step), machine)
    parameters = get_trainable_parameters(stage.module)
    gradients = [p.grad for p in parameters if p.grad is not None]
    machine.distributed.all_reduce_sum([*gradients, *sums.values()])
    for optimizer in stage.optimizers:
        machine.scaler.unscale_(optimizer)
    figures = {name: value.item() for name, value in sums.items()}
    figures["gradient"] = clip_grad_norm(parameters, machine.grad_clip)
    _raise_if_not_finite(figures, machine)
    for optimizer in stage.optimizers:
        set_lr(optimizer, rate)
        machine.scaler.step(optimizer)
    machine.scaler.update()
    stage.after_step()
    return figures


def _compute_gradients(
    stage: TrainingTask, work: StepBatch, machine: StepExecutor
) -> dict[str, Tensor]:
    """Fill the gradients from this process's share of the work; returns sums of the figures."""
    while True:
        try:
            return _accumulate_gradients(stage, work, machine)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        machine.halve_batch()  # outside the handler, which still holds on to the tensors


def _accumulate_gradients(
    stage: TrainingTask, work: StepBatch, machine: StepExecutor
) -> dict[str, Tensor]:
    stage.module.zero_grad(set_to_none=True)
    mine = machine.distributed.get_local_indices(len(work.examples))
    sums: dict[str, Tensor] = {}
    for start in range(0, len(mine), machine.micro_batch_size):
        machine.check_cancelled()
        with machine.autocast():
            loss, parts = stage.loss(work, mine[start : start + machine.micro_batch_size])
        machine.scaler.scale(loss).backward()
        for name, value in {"loss": loss.detach(), **parts}.items():
            sums[name] = sums[name] + value if name in sums else value.float()
    return sums


@contextmanager
def register_cancel_checks(module: nn.Module, check: Callable[[], None]) -> Iterator[None]:
    """Let `check` be called in the middle of steps: a single one may take long.

    What it raises, while going forward or backward, ends the step before anything is changed.
    """

    def look(_: nn.Module, given: object, output: object) -> None:
        check()
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(lambda gradient: check())

    rows = (part for part in module.modules() if isinstance(part, (nn.ModuleList, nn.Sequential)))
    hooks = [layer.register_forward_hook(look) for row in rows for layer in row]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is full, in any of torch's ways."""
    told = str(error).lower()
    known = "out of memory" in told or "can't allocate memory" in told
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or known


def _raise_if_not_finite(figures: Mapping[str, float], machine: StepExecutor) -> None:
    """A scaler skips steps whose gradient overflowed in 16 bits; nothing else may be unlimited."""
    skips = machine.scaler.is_enabled()
    wrong = [
        name
        for name, value in figures.items()
        if not math.isfinite(value) and not (skips and name == "gradient")
    ]
    if wrong:
        raise DivergenceError(f"{' and '.join(wrong)} is not a number")


def create_step_executor(
    precision: str,
    seed: int,
    ranks: DistributedContext,
    report: ProgressReporter,
    warn: Callable[[str], None],
) -> StepExecutor:
    """Say what computes; a stage sets `rows` and `clip` as it begins.

    Raises ValueError for a precision that the device cannot train in.
    """
    if precision == "fp16" and ranks.device.type == "cpu":
        raise ValueError(
            "optimizer.precision is fp16, which a processor cannot train with. "
            "Use bf16 or fp32, or a GPU."
        )
    return StepExecutor(
        distributed=ranks,
        precision=precision,
        micro_batch_size=1,
        grad_clip=1.0,
        seed=seed,
        scaler=GradScaler(ranks.device.type, enabled=precision == "fp16"),
        check_cancelled=report.check_cancelled
        if ranks.world_size == 1
        else ProgressReporter().check_cancelled,
        warn=warn,
    )

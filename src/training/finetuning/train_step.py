"""One optimizer step: accumulate the gradients of its micro-batches, then update the weights.

    executor = create_step_executor(precision, seed, distributed, report, warn)
    metrics = training_step(task, step, lr, executor)

The examples of a step are divided among the processes and cut into micro-batches that fit the
memory. Every loss is divided by the totals of the whole step, so neither changes the result.
"""

from __future__ import annotations

import gc
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from core.progress import ProgressReporter
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, TrainingExample
from training.finetuning.distributed import DistributedContext
from training.finetuning.optim.divergence import DivergenceError
from training.finetuning.optim.freezing import get_trainable_parameters
from training.finetuning.optim.optimizers import clip_grad_norm, set_lr

AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class OutOfMemory(RuntimeError):
    """Not even a single example fits the memory."""


class Stateful(Protocol):
    """An object with a state dict.  Any: state dicts are nested and heterogeneous."""

    def state_dict(self) -> Mapping[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


@dataclass(kw_only=True, eq=False)
class TrainingTask(ABC):
    """A network with its data, loss and optimizers.  Any: each task has a batch type of its own.

    norms: (80, 1) by which the GPT's mel bands are divided.
    """

    name: ClassVar[str]
    validation_metric: ClassVar[str]  # the metric of a step that `validate` measures too
    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    clips: DatasetSplits
    config: FinetuneConfig
    norms: Tensor
    device: torch.device

    @property
    @abstractmethod
    def stateful_parts(self) -> Mapping[str, Stateful]:
        """Content of a saved state, by name."""

    @abstractmethod
    def sample_batch(self, step: int) -> Any:
        """Draw the batch of a step; it has `examples`, and follows from seed and step alone."""

    @abstractmethod
    def loss(self, batch: Any, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of some rows divided by the totals of the batch, and its detached parts.

        The losses of disjoint rows add up to the loss of the batch.
        """

    def after_step(self) -> None:  # noqa: B027 - optional
        """Run after each optimizer step."""

    @abstractmethod
    def validate(self, clips: Sequence[TrainingExample]) -> float:
        """Return the mean loss on held-out clips."""

    @abstractmethod
    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]:
        """Return the tensors of a checkpoint by file name."""


@dataclass(kw_only=True, eq=False)
class StepExecutor:
    """Where and how a step is computed.

    micro_batch_size: examples at once in this process; halved, with a call of `warn`, when the
    memory runs out.  check_cancelled: raises `Cancelled` when a stop was requested.
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
        """Return the context in which networks compute in the chosen precision."""
        dtype = AUTOCAST_DTYPES.get(self.precision)
        return torch.autocast(self.distributed.device.type, dtype) if dtype else nullcontext()

    def halve_batch(self) -> None:
        """Halve the micro-batch size.  Raises OutOfMemory where it is 1 already."""
        if self.micro_batch_size == 1:
            raise OutOfMemory(
                "Not even one clip fits into memory. Choose lora, half precision, shorter "
                "clips or another device."
            )
        self.micro_batch_size = -(-self.micro_batch_size // 2)
        gc.collect()
        if self.distributed.device.type == "cuda":
            torch.cuda.empty_cache()
        self.warn(
            f"Out of memory: the micro-batch size is now {self.micro_batch_size}. Steps take "
            "longer; the result is the same."
        )


def training_step(
    task: TrainingTask, step: int, lr: float, executor: StepExecutor
) -> dict[str, float]:
    """Run one optimizer step; return the loss, its parts and the gradient norm.

    Raises DivergenceError, before any weight changes, where one of them is not finite.
    """
    distributed, scaler = executor.distributed, executor.scaler
    devices = [distributed.device] if distributed.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # dropout draws from the global generator
        torch.manual_seed((executor.seed * 1_000_003 + step * 64 + distributed.rank) % 2**63)
        sums = _compute_gradients(task, task.sample_batch(step), executor)
    parameters = get_trainable_parameters(task.model)
    gradients = [p.grad for p in parameters if p.grad is not None]
    distributed.all_reduce_sum([*gradients, *sums.values()])
    for optimizer in task.optimizers:
        scaler.unscale_(optimizer)
    metrics = {name: value.item() for name, value in sums.items()}
    metrics["gradient"] = clip_grad_norm(parameters, executor.grad_clip)
    _raise_if_not_finite(metrics, scaler.is_enabled())
    for optimizer in task.optimizers:
        set_lr(optimizer, lr)
        scaler.step(optimizer)
    scaler.update()
    task.after_step()
    return metrics


def _compute_gradients(task: TrainingTask, batch: Any, executor: StepExecutor) -> dict[str, Tensor]:
    while True:
        try:
            return _accumulate_gradients(task, batch, executor)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        executor.halve_batch()  # outside of the handler, which still refers to the tensors


def _accumulate_gradients(
    task: TrainingTask, batch: Any, executor: StepExecutor
) -> dict[str, Tensor]:
    task.model.zero_grad(set_to_none=True)
    rows = executor.distributed.get_local_indices(len(batch.examples))
    sums: dict[str, Tensor] = {}
    for start in range(0, len(rows), executor.micro_batch_size):
        executor.check_cancelled()
        with executor.autocast():
            loss, parts = task.loss(batch, rows[start : start + executor.micro_batch_size])
        executor.scaler.scale(loss).backward()
        for name, value in {"loss": loss.detach(), **parts}.items():
            sums[name] = sums[name] + value if name in sums else value.float()
    return sums


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the memory is full, in any of torch's ways."""
    message = str(error).lower()
    known = "out of memory" in message or "can't allocate memory" in message
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or known


def _raise_if_not_finite(metrics: Mapping[str, float], scaled: bool) -> None:
    """A scaler skips steps whose gradient overflowed in 16 bits, so that one may be infinite."""
    wrong = [
        name
        for name, value in metrics.items()
        if not math.isfinite(value) and not (scaled and name == "gradient")
    ]
    if wrong:
        raise DivergenceError(f"{' and '.join(wrong)} is not a number")


def create_step_executor(
    precision: str,
    seed: int,
    distributed: DistributedContext,
    report: ProgressReporter,
    warn: Callable[[str], None],
) -> StepExecutor:
    """Create an executor with a micro-batch size and a gradient limit of 1.

    Raises ValueError for a precision that the device cannot train in.
    """
    device = distributed.device.type
    if precision == "fp16" and device == "cpu":
        raise ValueError(
            "optimizer.precision is fp16, which is not supported on a CPU. "
            "Use bf16 or fp32, or a GPU."
        )
    alone = distributed.world_size == 1  # several processes agree on a stop between steps
    return StepExecutor(
        distributed=distributed,
        precision=precision,
        micro_batch_size=1,
        grad_clip=1.0,
        seed=seed,
        scaler=GradScaler(device, enabled=precision == "fp16"),
        check_cancelled=report.check_cancelled if alone else ProgressReporter().check_cancelled,
        warn=warn,
    )

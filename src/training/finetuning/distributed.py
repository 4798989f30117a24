"""Data-parallel training: each process takes its share of the examples of a step.

Gradients are summed here and not averaged by DistributedDataParallel, because a step's loss is a
sum over its examples: any number of processes gives the same curve within rounding.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

PROCESS_GROUP_TIMEOUT = timedelta(hours=2)
"""Timeout of the other processes while the main process validates and saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedContext:
    """The rank of this process and its device."""

    rank: int = 0
    world_size: int = 1
    device: torch.device

    @property
    def is_main_process(self) -> bool:
        """Return whether this process logs, validates and saves."""
        return self.rank == 0

    def get_local_indices(self, rows: int) -> list[int]:
        """Return the indices, of so many rows, that this process takes."""
        return list(range(self.rank, rows, self.world_size))

    def all_reduce_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def any_process(self, flag: bool) -> bool:
        """Return whether the flag is set in any process; all must call it."""
        if self.world_size == 1:
            return flag
        reduced = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(reduced, dist.ReduceOp.MAX)
        return bool(reduced)


@contextmanager
def init_distributed(device: torch.device) -> Iterator[DistributedContext]:
    """Join the process group where torchrun started this process.

    device: with several CUDA devices, each process takes its own instead.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield DistributedContext(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo", timeout=PROCESS_GROUP_TIMEOUT
    )
    try:
        yield DistributedContext(rank=dist.get_rank(), world_size=count, device=device)
    finally:
        dist.destroy_process_group()


def is_torchrun_process() -> bool:
    """Return whether torchrun started this process."""
    return "WORLD_SIZE" in os.environ


def is_main_process() -> bool:
    """Return whether this is the first process, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def launch_torchrun(
    processes: int, module: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a module in several processes.  variables: added to their environment."""
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, "-m", *launcher, "-m", module, *arguments]
    return subprocess.Popen(command, env={**os.environ, **variables})

"""Several processes that learn together: each takes its share of a step's clips.

Gradients are added up by hand rather than by torch's wrapper, because a step's loss is a sum over
its clips however they are dealt: so any number of processes gives the same curve within rounding.
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
"""How long the others wait while the first speaks a sample and saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedContext:
    """Which of the processes this is."""

    rank: int = 0
    world_size: int = 1
    device: torch.device

    @property
    def is_main_process(self) -> bool:
        """Whether this one writes, speaks and decides."""
        return self.rank == 0

    def get_local_indices(self, rows: int) -> list[int]:
        """The places, among so many rows, that this process takes."""
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
        """Whether any of the processes says so; all have to ask."""
        if self.world_size == 1:
            return flag
        told = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return bool(told)


@contextmanager
def init_distributed(device: torch.device) -> Iterator[DistributedContext]:
    """Join the other processes, if torchrun started this one; else be alone.

    device: where this process computes; with several CUDA devices, each process takes its own.
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
    """Whether torchrun started this process."""
    return "WORLD_SIZE" in os.environ


def is_main_process() -> bool:
    """Whether this is the first process, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def launch_torchrun(
    processes: int, module: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a module in several processes that join each other, on this machine.

    variables: what they find in their environment besides ours.
    """
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, "-m", *launcher, "-m", module, *arguments]
    return subprocess.Popen(command, env={**os.environ, **variables})

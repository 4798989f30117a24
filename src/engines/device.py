"""Device selection, and moving a network to a device temporarily."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

import psutil
import torch
from torch import nn

from core.errors import InvalidValueError

M = TypeVar("M", bound=nn.Module)
DIRECTML_PACKAGE = (
    "torch_directml"  # Windows GPUs without CUDA; its devices are called "privateuseone:0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that this machine has."""

    name: str  # what pick_device takes
    label: str  # what a person calls it
    memory: int | None = None  # bytes, where the device has its own


def list_devices() -> list[Device]:
    """Return what there is to run on, the fastest first; "cpu" is always there."""
    found = [_cuda_device(index) for index in range(torch.cuda.device_count())]
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        found.append(Device(name="xpu", label="Intel GPU"))
    if torch.backends.mps.is_available():
        found.append(Device(name="mps", label="Apple GPU"))
    if find_spec(DIRECTML_PACKAGE) is not None:
        found.append(Device(name="directml", label="DirectML GPU"))
    return [*found, Device(name="cpu", label="processor")]


def pick_device(name: str | None = None) -> torch.device:
    """Return the named device, or the fastest for None or "auto".

    Raises ValueError, listing what there is, for a device that this machine lacks.
    """
    known = [device.name for device in list_devices()]
    requested = known[0] if name in (None, "", "auto") else str(name).lower()
    requested = "cuda:0" if requested == "cuda" else requested
    if requested not in known:
        raise InvalidValueError(
            f"There is no device {name!r} here. Available: auto, {', '.join(known)}. "
            "A missing GPU has no driver, or this torch build does not support it.",
            code="no_device",
        )
    if requested == "directml":
        device: torch.device = import_module(DIRECTML_PACKAGE).device()
        return device
    return torch.device(requested)


def measure_peak_memory(device: str) -> int:
    """Return the most bytes that were in use at once: of a CUDA device, else of this process."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def module_on_device(device: torch.device, model: M) -> Iterator[M]:
    """Move a network to the device within the block, and back afterwards."""
    first = next(model.parameters(), None)
    home = device if first is None else first.device
    try:
        yield model.to(device)
    finally:
        model.to(home)
        if home != device and device.type == "cuda":
            torch.cuda.empty_cache()


def _cuda_device(index: int) -> Device:
    traits = torch.cuda.get_device_properties(index)
    return Device(name=f"cuda:{index}", label=traits.name, memory=traits.total_memory)

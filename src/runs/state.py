"""Save and load the training state atomically; recognise a full disk."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from core.files import atomic_path, fsync_folder

STATE_FILE = "state.pt"

# Any: state dicts are nested and heterogeneous.

GOOD_STATE_FILE = "state.good.pt"
"""The last state with a finite validation loss."""
DAMAGED_STATE_ERRORS = (
    *(RuntimeError, EOFError, ValueError, UnpicklingError, OSError, LookupError),
    *(AttributeError, TypeError, AssertionError),
)
"""What torch.load raises for a damaged file."""
SPARE_BYTES = 50_000_000
DISK_FULL_MESSAGES = (
    "PytorchStreamWriter failed",
    "iostream error",
    "unexpected pos",  # torch's zip writer, where the file is shorter than what it wrote
    "No space left on device",
    "Disk quota exceeded",
    "not enough space on the disk",  # Windows
)
"""Messages of torch and safetensors for a full disk; they do not raise OSError."""


class DiskFullError(OSError):
    """Raised when the disk is full; files saved before are intact."""


class StateError(ValueError):
    """A run cannot be resumed from a saved state."""


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the state atomically.

    Raises DiskFullError, with the old file intact, where there is no room.
    """
    check_disk_space(folder, count_tensor_bytes(state))
    path = folder / STATE_FILE
    with translate_disk_full_errors(path), atomic_path(path) as part, part.open("wb") as handle:
        torch.save(dict(state), handle)
    fsync_folder(folder)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Read the saved state, None where there is none.  Raises StateError for a damaged one."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED_STATE_ERRORS as error:
        raise StateError(
            f"{path} is damaged or not a saved state. Delete it to restart from the first step."
        ) from error
    return state


def mark_state_good(folder: Path) -> None:
    """Keep the last saved state to return to after a divergence."""
    link_or_copy(folder / STATE_FILE, folder / GOOD_STATE_FILE)


def restore_good_state(folder: Path) -> None:
    """Replace the last state by the last good one; without a good one, delete it."""
    if (folder / GOOD_STATE_FILE).is_file():
        link_or_copy(folder / GOOD_STATE_FILE, folder / STATE_FILE)
    else:
        (folder / STATE_FILE).unlink(missing_ok=True)


def count_tensor_bytes(state: Any) -> int:
    """Add up the bytes of the tensors in nested containers."""
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, Mapping):
        return sum(count_tensor_bytes(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return sum(count_tensor_bytes(value) for value in state)
    return 0


def check_disk_space(folder: Path, needed: int) -> None:
    """Raise DiskFullError when the disk has less than `needed` plus some spare bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise DiskFullError(
            errno.ENOSPC,
            f"Saving takes {(needed + SPARE_BYTES) / 1e6:,.0f} MB, but the disk has "
            f"{free / 1e6:,.0f} MB left. Free some space, then resume the run; everything saved "
            "before is intact.",
        )


@contextmanager
def translate_disk_full_errors(path: Path) -> Iterator[None]:
    """Raise DiskFullError where the disk fills up while `path` is written."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_disk_full_error(error):
            raise
        raise DiskFullError(
            errno.ENOSPC,
            f"{path} could not be written ({error}). Free some space, then resume the run; "
            "everything saved before is intact.",
        ) from error


def is_disk_full_error(error: BaseException) -> bool:
    """Return whether a write failed because the disk or the user's quota is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(known in str(error) for known in DISK_FULL_MESSAGES)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link `source` to `target` atomically, or copy it where there are no hard links.

    A copy keeps the file's time, by which its checksum is cached.
    """
    with atomic_path(target) as part:
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError:
            check_disk_space(target.parent, source.stat().st_size)
            shutil.copy2(source, part)

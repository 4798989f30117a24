"""What must survive a restart, on disk: whole or not at all, beside what is still needed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

STATE_FILE = "state.pt"

# Any: state dicts are nested and heterogeneous.

GOOD_STATE_FILE = "state.good.pt"
"""The last state that was judged and found sound."""
SPARE_BYTES = 50_000_000


class DiskFullError(OSError):
    """There is no room for what is to be saved; nothing was touched."""


class StateError(ValueError):
    """A saved state cannot be gone on from."""


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the state beside, then rename it over the one before.

    Raises DiskFull, with the old file intact, where there is no room.
    """
    check_disk_space(folder, count_tensor_bytes(state))
    beside = folder / f"{STATE_FILE}.part"
    with translate_disk_full_errors(beside):
        with beside.open("wb") as handle:
            torch.save(dict(state), handle)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(folder / STATE_FILE)
    fsync_folder(folder)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Read the saved state, None where there is none.  Raises StateError for a damaged one."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise StateError(
            f"{path} is damaged or no saved state. Delete it to begin anew from the first step."
        ) from error
    return state


def mark_state_good(folder: Path) -> None:
    """Remember the state saved last as a sound one."""
    _link_or_copy(folder / STATE_FILE, folder / GOOD_STATE_FILE)


def restore_good_state(folder: Path) -> None:
    """Put the last sound state in the place of the last one; without any, begin anew."""
    if (folder / GOOD_STATE_FILE).is_file():
        _link_or_copy(folder / GOOD_STATE_FILE, folder / STATE_FILE)
    else:
        (folder / STATE_FILE).unlink(missing_ok=True)


def count_tensor_bytes(state: Any) -> int:
    """Count what the tensors in nested containers take."""
    if isinstance(state, Tensor):
        return state.nbytes
    if isinstance(state, Mapping):
        return sum(count_tensor_bytes(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return sum(count_tensor_bytes(value) for value in state)
    return 0


def check_disk_space(folder: Path, needed: int) -> None:
    """Raise DiskFull when the disk has not that many bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise DiskFullError(
            errno.ENOSPC,
            f"Saving takes {(needed + SPARE_BYTES) / 1e6:,.0f} MB, but the disk has "
            f"{free / 1e6:,.0f} MB left. Free some space, then resume the run; everything saved "
            "before is intact.",
        )


@contextmanager
def translate_disk_full_errors(beside: Path) -> Iterator[None]:
    """Turn a disk that fills up while `beside` is written into DiskFull, and remove the part."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if is_disk_full_error(error):
            raise DiskFullError(
                errno.ENOSPC,
                f"{beside.with_suffix('')} could not be written ({error}). Free some space, then "
                "resume the run; everything saved before is intact.",
            ) from error
        raise


def is_disk_full_error(error: Exception) -> bool:
    """Whether writing failed for want of room, which writers of tensors tell in their own words."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, (RuntimeError, SafetensorError))


def fsync_folder(folder: Path) -> None:
    """Make a rename last through a loss of power, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name at once, or a copy where there are no hard links."""
    beside = target.with_name(f"{target.name}.part")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:
        check_disk_space(source.parent, source.stat().st_size)
        shutil.copyfile(source, beside)
    beside.replace(target)

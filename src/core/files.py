"""Write files atomically, choose free names, measure and hash files."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HASH_BLOCK_BYTES = 1 << 20
STALE_PART_S = 24 * 3600.0
PART_GRACE_S = 600.0  # a program in another container has a number that is unknown here
_PART_NAME = re.compile(r"\..+\.(\d{1,10})\.part(?:\.\w+)?")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` when the block succeeds.

    A reader sees the old file or the new one, never a part. The temporary file keeps the suffix of
    `target`, since writers choose a format by it, and is removed when the block raises.
    """
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        fsync_file(part)
        part.replace(target)
        fsync_folder(target.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file with "\\n" line ends atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: object, indent: int | None = 2) -> None:
    """Write a JSON file atomically; NaN and infinity are refused with ValueError."""
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    with atomic_path(target) as part:
        shutil.copyfile(source, part)


def commit_folder(new: Path, target: Path) -> None:
    """Rename a filled folder to `target`, which must not exist, once its files are on the disk."""
    for parent, _, names in os.walk(new):
        for name in names:
            fsync_file(Path(parent, name))
        fsync_folder(Path(parent))
    new.rename(target)
    fsync_folder(target.parent)


def fsync_file(path: Path) -> None:
    """Flush the content of a file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def parse_json(text: str | bytes) -> Any:
    """Parse JSON of unknown origin; Any: JSON. Raises ValueError, for deep nesting too."""
    with _refuse_deep_nesting():
        return json.loads(text)


def parse_finite_json(text: str | bytes) -> Any:
    """Parse JSON as `parse_json` does; NaN and infinite numbers, which no JSON has, become None."""
    with _refuse_deep_nesting():
        return json.loads(text, parse_constant=lambda word: None, parse_float=_parse_finite_float)


@contextmanager
def _refuse_deep_nesting() -> Iterator[None]:
    try:
        yield
    except RecursionError as cause:
        raise ValueError("it is nested too deeply") from cause


def _parse_finite_float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def fsync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can (Windows cannot)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_private_folder(folder: Path) -> None:
    """Create a folder that other users cannot read; close an existing one to them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(OSError):  # it belongs to another user
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)


def create_private_file(path: Path) -> None:
    """Create an empty file that other users cannot read; close an existing one to them."""
    path.touch(mode=0o600)
    with suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def delete_stale_parts(folder: Path, oldest_s: float = STALE_PART_S) -> int:
    """Delete temporary files of `atomic_path` whose program ended before it renamed them.

    oldest_s: seconds after which a file is deleted though a program of its number still runs.
    Returns how many were deleted.
    """
    deleted, now = 0, time.time()
    for part, pid in _iter_parts(folder):
        with suppress(OSError):
            age_s = now - part.stat().st_mtime
            is_dead = age_s > PART_GRACE_S and not _is_running(pid)
            if is_dead or age_s > oldest_s:
                part.unlink()
                deleted += 1
    return deleted


def _iter_parts(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the temporary files in a folder and below, and the process that each is of."""
    for parent, _, names in os.walk(folder):
        found = ((name, _PART_NAME.fullmatch(name)) for name in names)
        yield from ((Path(parent, name), int(match[1])) for name, match in found if match)


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # kill would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def unique_path(path: Path) -> Path:
    """Return `path`, or the first of "name-2.ext", "name-3.ext", … that does not exist."""
    number, candidate = 1, path
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def replace_folder(target: Path, new: Path) -> None:
    """Replace the folder `target` by `new`; the old one is deleted last.

    A swap that was cut off between the two renames is undone by `restore_replaced_folder`.
    """
    old = _replaced_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(old)
    try:
        commit_folder(new, target)
    except OSError:
        restore_replaced_folder(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def restore_replaced_folder(target: Path) -> None:
    """Undo a `replace_folder` that was cut off, and delete what it left behind."""
    old = _replaced_folder(target)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _replaced_folder(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def tree_size(folder: Path) -> int:
    """Add up the bytes of the files in a folder and below; symbolic links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
    return total


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()

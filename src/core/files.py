"""Write files atomically, choose free names, measure and hash files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HASH_BLOCK_BYTES = 1 << 20


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` when the block succeeds.

    A reader sees the old file or the new one, never a part. The temporary file keeps the suffix of
    `target`, since writers choose a format by it, and is removed when the block raises.
    """
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
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


def fsync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can (Windows cannot)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
        new.rename(target)
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

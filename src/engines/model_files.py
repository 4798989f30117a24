"""The files of a model folder of any engine: JSON, checksums, atomic writes and errors.

Reading these needs no torch.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import CodedError
from core.files import fsync_file, fsync_folder, parse_json, sha256_file

CONFIG_FILE = "config.json"
CHECKSUMS_FILE = "checksums.json"
TENSORS_SUFFIX = ".safetensors"
WEIGHTS_ID_LENGTH = 16

FileState = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds, inode."""


class ModelFileError(CodedError, ValueError):
    """A model folder cannot be read or written; the message says why and what to do."""

    code = "corrupt_weights"


def get_network_path(folder: Path, name: str) -> Path:
    """Return the path of the weights of one network."""
    return folder / f"{name}{TENSORS_SUFFIX}"


def list_tensor_files(folder: Path) -> list[Path]:
    """Return the names of the tensor files."""
    return sorted(folder.glob(f"*{TENSORS_SUFFIX}"))


def read_json(path: Path) -> Any:
    """Read a JSON file of a model; Any: the caller validates it."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(
            f"{path.parent} has no {path.name}, so it is not a complete model.",
            code="incomplete_weights",
            cli_hint="`testudo models list` shows what is installed.",
        ) from None
    except ValueError as error:
        raise ModelFileError(
            f"{path} is not JSON ({error}). Download the model again or restore the file."
        ) from error


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically: `write` fills a temporary file, which is renamed to `path`."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        fsync_file(beside)
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelFileError(
                f"The disk is full: {path} was not written. Free some space and try again.",
                code="no_disk",
            ) from error
        raise
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def snapshot_files(folder: Path) -> dict[str, FileState]:
    """Return file name -> state of every file in a folder; a file replaced has another state."""
    return {path.name: get_file_state(path) for path in folder.iterdir() if path.is_file()}


def get_file_state(path: Path) -> FileState:
    """Return size, modification time and inode of a file."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


def get_sha256(file: Path) -> str:
    """Return the sha256 of a file, read again only when its size or time of change differ."""
    known = file.stat()
    recorded = read_checksums(file.parent).get(file.name, {})
    if (recorded.get("size"), recorded.get("mtime_ns")) == (known.st_size, known.st_mtime_ns):
        return str(recorded["sha256"])
    return _compute_sha256_cached(file, known.st_size, known.st_mtime_ns)


@lru_cache(maxsize=256)
def _compute_sha256_cached(file: Path, size: int, mtime_ns: int) -> str:
    return sha256_file(file)


def read_checksums(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return file name -> sha256, size and time of change when it was written; {} if unknown."""
    try:
        recorded = parse_json((folder / CHECKSUMS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no record, or no longer one: the files themselves are read
        return {}
    return recorded if isinstance(recorded, dict) else {}


def record_checksum(file: Path) -> None:
    """Remember what a tensor file holds, just after writing it."""
    known = file.stat()
    entry = {
        "sha256": sha256_file(file),
        "size": known.st_size,
        "mtime_ns": known.st_mtime_ns,
    }
    recorded = {**read_checksums(file.parent), file.name: entry}
    write_json(file.parent / CHECKSUMS_FILE, dict(sorted(recorded.items())))


def forget_checksum(file: Path) -> None:
    """Remove the record of a file that is about to be replaced: it must not outlive its content."""
    recorded = dict(read_checksums(file.parent))
    if recorded.pop(file.name, None) is not None:
        write_json(file.parent / CHECKSUMS_FILE, recorded)


def compute_files_id(folder: Path, networks: Sequence[str]) -> str:
    """Return an id of the weights of some networks, a hash of those files that are there."""
    digest = hashlib.sha256()
    files = [get_network_path(folder, name) for name in networks]
    for file in filter(Path.is_file, files):
        digest.update(f"{file.name} {get_sha256(file)}\n".encode())
    return digest.hexdigest()[:WEIGHTS_ID_LENGTH]

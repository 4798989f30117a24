"""What this machine and this installation are: for the system panel and for reports."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from studio.layout import Layout

ASK_TORCH_S = 120.0
TOLD_PACKAGES = ("gradio", "fastapi", "soundfile", "safetensors", "mutagen", "voicefixer")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device that torch found. memory: bytes, None where it has none of its own."""

    name: str
    label: str
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """What torch says of itself. cause, problem: why it cannot be loaded, "" where it can."""

    torch: str = ""
    torchaudio: str = ""
    cuda: str = ""
    devices: tuple[FoundDevice, ...] = ()
    unsuited: tuple[str, ...] = ()  # GPUs that this build has no code for
    said: tuple[str, ...] = ()  # its warnings about drivers
    cause: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder of the studio; free: bytes left on its disk."""

    name: str
    path: Path
    free: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """This machine and this installation."""

    testudo: str
    python: str
    platform: str
    cores: int
    memory: int | None  # bytes
    memory_free: int | None
    ffmpeg: str
    packages: Mapping[str, str]
    folders: tuple[Folder, ...]
    torch: Torch


def look_at_system(layout: Layout, torch: Torch | None = None) -> System:
    """Look at everything; takes seconds, since torch is asked in a process of its own.

    torch: what it said before, to spare asking again.
    """
    memory, free = memory_of()
    return System(
        testudo=installed("testudo") or "from source",
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=usable_cores(),
        memory=memory,
        memory_free=free,
        ffmpeg=_ffmpeg(),
        packages={name: installed(name) for name in TOLD_PACKAGES if installed(name)},
        folders=folders_of(layout),
        torch=torch or ask_torch(),
    )


def ask_torch() -> Torch:
    """Ask torch what it is and what it sees, in a process of its own."""
    path = os.pathsep.join(place for place in sys.path if place)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "studio.tasks.machine"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ASK_TORCH_S,
            env={**os.environ, "PYTHONPATH": path},
        )
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Torch(cause="torch_broken", problem=f"torch did not load within {ASK_TORCH_S:.0f} s")
    except (OSError, ValueError):
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return Torch(cause="torch_broken", problem=(last or ["torch ended the process"])[0][:500])
    return _torch_from(told)


def folders_of(layout: Layout) -> tuple[Folder, ...]:
    """Return the folders that the studio writes to."""
    named = {
        "voices": layout.voices,
        "results": layout.results,
        "models": layout.models,
        "state": layout.state,
    }
    return tuple(
        Folder(name=name, path=path, free=free_bytes(path), writable=can_write(path))
        for name, path in named.items()
    )


def free_bytes(path: Path) -> int:
    """Return how many bytes the disk has left where a folder is, or would be."""
    return shutil.disk_usage(_existing(path)).free


def can_write(path: Path) -> bool:
    """Say whether files can be written into a folder, or the folder made."""
    there = _existing(path)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def installed(package: str) -> str:
    """Return the version of an installed package, or ""."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    told = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return told or 1


def memory_of() -> tuple[int | None, int | None]:
    """Return all memory and what is free of it, in bytes; None where the system does not tell."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except (OSError, ValueError):
        return _memory_elsewhere(), None
    found = {name: int(kib) * 1024 for name, kib in re.findall(r"(\w+):\s+(\d+) kB", told)}
    return found.get("MemTotal"), found.get("MemAvailable")


def gigabytes(count: int | None) -> str:
    """Tell a number of bytes."""
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def without_private(text: str, root: Path) -> str:
    """Take out of a text what a report need not say: where folders lie and who the user is."""
    for path, word in ((str(root), "<studio>"), (str(Path.home()), "~")):
        if len(path) > 1:
            text = text.replace(path, word)
    user = Path.home().name
    return re.sub(rf"\b{re.escape(user)}\b", "<user>", text) if len(user) > 2 else text


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _ffmpeg() -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, stdin=subprocess.DEVNULL, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.decode("utf-8", "replace").split()
    return words[2] if len(words) > 2 else "of unknown version"


def _memory_elsewhere() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _torch_from(told: Mapping[str, Any]) -> Torch:  # Any: plain values of our own program
    devices = tuple(FoundDevice(**device) for device in told["devices"])
    lists = {name: tuple(told.get(name, ())) for name in ("unsuited", "said")}
    names = ("torch", "torchaudio", "cuda", "cause", "problem")
    words = {name: str(told.get(name, "")) for name in names}
    known: dict[str, Any] = {**lists, **words}  # Any: texts, and tuples of them
    return Torch(devices=devices, **known)

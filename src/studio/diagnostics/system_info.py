"""Facts about this machine and this installation, for the system panel and for reports."""

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

import psutil

from audio.ffmpeg import read_ffmpeg_version
from core.errors import AppError
from core.formatting import format_bytes
from core.paths import ProjectPaths

TORCH_PROBE_TIMEOUT_S = 120.0
REPORTED_PACKAGES = ("gradio", "fastapi", "soundfile", "safetensors", "mutagen", "voicefixer")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """A device that torch found. memory: bytes, None where it has none of its own."""

    name: str
    label: str
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchInfo:
    """Versions and devices of torch. cause, problem: why it cannot be loaded, "" where it can."""

    torch: str = ""
    torchaudio: str = ""
    cuda: str = ""
    devices: tuple[DeviceInfo, ...] = ()
    unsuited: tuple[str, ...] = ()  # GPUs that this build has no code for
    driver_warnings: tuple[str, ...] = ()
    cause: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderInfo:
    """One folder of the studio; free: bytes left on its disk."""

    name: str
    path: Path
    free: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """This machine and this installation."""

    testudo: str
    python: str
    platform: str
    cores: int
    memory: int  # bytes
    memory_free: int
    ffmpeg: str
    packages: Mapping[str, str]
    folders: tuple[FolderInfo, ...]
    torch: TorchInfo


def collect_system_info(layout: ProjectPaths, torch: TorchInfo | None = None) -> SystemInfo:
    """Collect everything; takes seconds, since torch is imported in a process of its own.

    torch: the result of an earlier `probe_torch`, to save its time.
    """
    memory, free = get_memory_bytes()
    return SystemInfo(
        testudo=get_installed_version("testudo") or "from source",
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=count_usable_cores(),
        memory=memory,
        memory_free=free,
        ffmpeg=read_ffmpeg_version(),
        packages={
            name: get_installed_version(name)
            for name in REPORTED_PACKAGES
            if get_installed_version(name)
        },
        folders=collect_folder_info(layout),
        torch=torch or probe_torch(),
    )


def probe_torch() -> TorchInfo:
    """Import torch in a process of its own, and return what it reports."""
    path = os.pathsep.join(place for place in sys.path if place)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "studio.workers.torch_probe"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TORCH_PROBE_TIMEOUT_S,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return TorchInfo(
            cause="torch_broken", problem=f"torch did not load within {TORCH_PROBE_TIMEOUT_S:.0f} s"
        )
    except OSError as cause:
        problem = f"{sys.executable} cannot be started: {cause.strerror or cause}"
        return TorchInfo(cause="torch_broken", problem=problem)
    try:
        return _parse_torch_info(json.loads(done.stdout))
    except ValueError:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return TorchInfo(
            cause="torch_broken", problem=(last or ["torch terminated the process"])[0][:500]
        )


def format_device_lines(torch: TorchInfo) -> list[str]:
    """Describe each device, one a line: its name as the setting `device` takes it, and its label.

    Raises AppError where torch cannot be loaded.
    """
    if torch.cause:
        raise AppError(f"torch cannot be loaded: {torch.problem}", code=torch.cause)
    width = max(len(device.name) for device in torch.devices)
    lines = []
    for device in torch.devices:
        memory = f", {format_bytes(device.memory)}" if device.memory else ""
        lines.append(f"{device.name:{width}}  {device.label}{memory}")
    unsuited = [f"This torch build does not support {name}." for name in torch.unsuited]
    return [*lines, *unsuited, *torch.driver_warnings]


def collect_folder_info(layout: ProjectPaths) -> tuple[FolderInfo, ...]:
    """Return the folders that the studio writes to."""
    named = {
        "voices": layout.voices,
        "results": layout.results,
        "models": layout.models,
        "state": layout.state,
    }
    return tuple(
        FolderInfo(name=name, path=path, free=get_free_bytes(path), writable=can_write(path))
        for name, path in named.items()
    )


def get_free_bytes(path: Path) -> int:
    """Return the free bytes of the disk that a folder is, or would be, on."""
    return shutil.disk_usage(_find_existing_parent(path)).free


def can_write(path: Path) -> bool:
    """Return whether files can be written into a folder, or the folder created."""
    there = _find_existing_parent(path)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def get_installed_version(package: str) -> str:
    """Return the version of an installed package, or ""."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def read_version() -> str:
    """Return the version of this program."""
    installed = get_installed_version("testudo")
    if installed:
        return installed
    project = Path(__file__).resolve().parents[3] / "pyproject.toml"
    found = re.search(r'^version = "(.+)"', project.read_text("utf-8"), re.MULTILINE)
    return found.group(1) if found else "unknown"


def count_usable_cores() -> int:
    """Return how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


def get_memory_bytes() -> tuple[int, int]:
    """Return total and free memory in bytes."""
    memory = psutil.virtual_memory()
    return memory.total, memory.available


def redact_private_data(text: str, root: Path) -> str:
    """Remove the paths of the user's folders and the user's name from a text."""
    for path, word in ((str(root), "<studio>"), (str(Path.home()), "~")):
        if len(path) > 1:
            text = text.replace(path, word)
    user = Path.home().name
    return re.sub(rf"\b{re.escape(user)}\b", "<user>", text) if len(user) > 2 else text


def _find_existing_parent(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _parse_torch_info(plain: Mapping[str, Any]) -> TorchInfo:  # Any: of studio.workers.torch_probe
    devices = tuple(DeviceInfo(**device) for device in plain["devices"])
    names = ("torch", "torchaudio", "cuda", "cause", "problem")
    facts: dict[str, Any] = {name: str(plain.get(name, "")) for name in names}
    facts |= {name: tuple(plain.get(name, ())) for name in ("unsuited", "driver_warnings")}
    return TorchInfo(devices=devices, **facts)

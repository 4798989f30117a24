"""The doctor: looks at everything that can be wrong, and names the one command that mends it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.causes import cause_named
from studio.errors import StudioError
from studio.finetunes import AUTO
from studio.fixer import INSTALL, missing_packages, why_not
from studio.layout import Layout
from studio.needed import package_problems
from studio.serving import open_socket, parse_address
from studio.setting_sources import effective_settings
from studio.settings import Settings, apply_folders
from studio.system import System, Torch, gigabytes
from studio.voices import list_voices
from tortoise.bundle import hash_content, missing_to_speak, recorded_checksums, tensor_files

STARTER = "starter"
LEAST_FREE = 1_000_000_000
"""Bytes that a disk should have left: clips are small, what a download needs is asked there."""
OLDEST, NEWEST = (3, 10), (3, 14)
NVIDIA = Path("/proc/driver/nvidia/version")
State = Literal["good", "note", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found about one thing. note: works, but could be better;  fix: one command."""

    name: str
    state: State
    told: str
    cause: str = ""
    fix: str = ""


def examine(layout: Layout, system: System, *, port: bool = True) -> list[Finding]:
    """Look at everything. layout: as at first, before settings move its folders.

    port: whether to look if the port is free, which it is not while the studio runs.
    """
    found = [_python(), *_packages(layout), *_torch(system.torch)]
    settings, told = _settings(layout)
    layout = apply_folders(layout, settings)
    found += [told, *_folders(system), _journal(layout), _ffmpeg(system), _starter(layout)]
    found += _chosen(layout, settings)
    return [*found, _port(settings)] if port else found


def _fault(name: str, cause: str, told: str, fix: str | None = None) -> Finding:
    known = cause_named(cause)
    return Finding(
        name=name, state="fault", told=told, cause=cause, fix=known.fix if fix is None else fix
    )


def _good(name: str, told: str) -> Finding:
    return Finding(name=name, state="good", told=told)


def _note(name: str, told: str, fix: str = "") -> Finding:
    return Finding(name=name, state="note", told=told, fix=fix)


def _python() -> Finding:
    told = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return _good("Python", told)
    return _fault(
        "Python",
        "missing_package",
        f"{told}; Testudo needs 3.10 to 3.14.",
        "rm -rf .venv && PYTHON=/path/to/python3.12 ./start.sh --no-launch",
    )


def _packages(layout: Layout) -> Iterator[Finding]:
    needed = layout.root / "requirements.txt"
    if not needed.is_file():  # a studio somewhere else than its source
        needed = Path(__file__).resolve().parents[2] / "requirements.txt"
    if not needed.is_file():
        return
    problems = package_problems(needed.read_text(encoding="utf-8"))
    if problems:
        yield _fault("Packages", "missing_package", f"{'; '.join(problems)}.")
    else:
        yield _good("Packages", "as requirements.txt names them")


def _torch(torch: Torch) -> Iterator[Finding]:
    if torch.cause:
        yield _fault("torch", torch.cause, torch.problem)
        return
    if _base(torch.torch) != _base(torch.torchaudio) or _build_differs(torch):
        yield _fault(
            "torch", "torch_pair", f"torch {torch.torch} with torchaudio {torch.torchaudio}."
        )
    else:
        yield _good("torch", f"{torch.torch}{f', CUDA {torch.cuda}' if torch.cuda else ''}")
    yield _gpu(torch)


def _gpu(torch: Torch) -> Finding:
    names = ", ".join(f"{device.name} ({device.label})" for device in torch.devices)
    if torch.unsuited:
        return _fault(
            "Devices", "wrong_cuda_build", f"torch has no code for {', '.join(torch.unsuited)}."
        )
    has_gpu = any(device.name != "cpu" for device in torch.devices)
    if not has_gpu and torch.said:
        return _fault("Devices", "old_driver", torch.said[0])
    if not has_gpu and NVIDIA.exists():
        cause = "old_driver" if torch.cuda else "wrong_cuda_build"
        return _fault("Devices", cause, f"There is an NVIDIA driver, but torch sees only {names}.")
    return _good("Devices", names)


def _base(version: str) -> str:
    return version.partition("+")[0]


def _build_differs(torch: Torch) -> bool:
    builds = {version.partition("+")[2] for version in (torch.torch, torch.torchaudio)} - {""}
    return len(builds) > 1


def _settings(layout: Layout) -> tuple[Settings, Finding]:
    try:
        held = effective_settings(layout)
    except StudioError as refusal:
        return Settings(), _fault("Settings", "bad_settings", str(refusal))
    told = f"{len(held.stated)} set in {layout.settings_file.name}" if held.stated else "defaults"
    return held.settings, _good("Settings", told)


def _folders(system: System) -> Iterator[Finding]:
    for folder in system.folders:
        name = f"Folder {folder.name}"
        if not folder.writable:
            fix = f'sudo chown -R "$USER" {_quoted(folder.path)}'
            yield _fault(name, "permission", f"{folder.path} cannot be written to.", fix)
        elif folder.free < LEAST_FREE:
            told = f"{folder.path} has only {gigabytes(folder.free)} left on its disk."
            yield _fault(name, "no_disk", told, f"du -xhd1 {_quoted(folder.path)} | sort -h")
        else:
            yield _good(name, f"{folder.path}, {gigabytes(folder.free)} free")


def _journal(layout: Layout) -> Finding:
    if not layout.journal.is_file():
        return _good("List of jobs", "none yet")
    try:
        with closing(sqlite3.connect(f"{layout.journal.as_uri()}?mode=ro", uri=True)) as journal:
            (answer,) = journal.execute("pragma quick_check(1)").fetchone()
    except sqlite3.Error as cause:
        answer = str(cause)
    if answer == "ok" or "locked" in answer:
        aside = sorted(layout.state.glob(f"{layout.journal.stem}.damaged-*{layout.journal.suffix}"))
        if aside:
            return _note("List of jobs", f"whole; a damaged one was kept as state/{aside[-1].name}")
        return _good("List of jobs", "whole")
    return _fault("List of jobs", "journal_damaged", f"{layout.journal.name}: {answer}.")


def _ffmpeg(system: System) -> Finding:
    if system.ffmpeg:
        return _good("ffmpeg", system.ffmpeg)
    told = "not installed: wav, flac, ogg, opus and mp3 are read, other formats are not."
    return _note("ffmpeg", told, cause_named("missing_ffmpeg").fix)


def _starter(layout: Layout) -> Finding:
    folder = layout.models / STARTER
    restore = f"git checkout -- {_quoted(folder)}" if (layout.root / ".git").exists() else None
    if not folder.is_dir():
        told = f"There is no bundle {STARTER} in {layout.models}."
        return _fault("Starter weights", "missing_weights", told, restore)
    if missing := missing_to_speak(folder):
        told = f"{', '.join(missing)} missing."
        return _fault("Starter weights", "incomplete_weights", told, restore)
    recorded = recorded_checksums(folder)
    wrong = [
        file.name
        for file in tensor_files(folder)
        if file.name in recorded and hash_content(file) != recorded[file.name].get("sha256")
    ]
    if wrong:
        told = f"{', '.join(wrong)}: not what was written."
        return _fault("Starter weights", "corrupt_weights", told, restore)
    return _good("Starter weights", "whole")


def _chosen(layout: Layout, settings: Settings) -> Iterator[Finding]:
    voices = [voice.name for voice in list_voices(layout)]
    if settings.voice and settings.voice not in (*voices, "random") and "+" not in settings.voice:
        told = f"The default voice {settings.voice!r} is not there."
        yield _fault("Voices", "missing_voice", told, ".venv/bin/testudo settings unset voice")
    elif voices:
        yield _good("Voices", f"{len(voices)}")
    else:
        yield _note("Voices", f"none yet: put clips into a folder under {layout.voices}.")
    if settings.bundle not in (STARTER, AUTO) and not layout.bundle(settings.bundle).is_dir():
        told = f"The default model {settings.bundle!r} is not there."
        fix = ".venv/bin/testudo settings unset bundle"
        yield _fault("Default model", "missing_weights", told, fix)
    if settings.voice_fixer and (reason := why_not()):
        told = f"It is on, but cannot be used. {reason}"
        yield _note("Voice Fixer", told, INSTALL if missing_packages() else "")


def _port(settings: Settings) -> Finding:
    address = parse_address(settings.listen)
    try:
        held, _ = open_socket(address)
    except StudioError as refusal:
        cause = refusal.cause or "bad_address"
        return _fault("Port", cause, str(refusal))
    held.close()
    return _good("Port", f"{address.host}:{address.port} is free")


def _quoted(path: Path) -> str:
    return f"'{path}'" if any(letter in str(path) for letter in " '\"$&()") else str(path)

"""Health checks of the installation, each with the command that fixes what it finds."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement

from core.error_classifier import get_error_info
from core.errors import AppError
from core.files import sha256_file
from core.formatting import format_bytes
from core.network_address import open_socket, parse_address
from core.paths import ProjectPaths
from engines.model_files import list_tensor_files, read_checksums
from jobs.store_file import list_set_aside
from studio.diagnostics.system_info import SystemInfo, TorchInfo, get_installed_version
from studio.diagnostics.voicefixer import (
    INSTALL_COMMAND,
    describe_voicefixer_problem,
    missing_packages,
)
from studio.model_store.finetunes import AUTO
from studio.schemas.settings import Settings, apply_folders
from studio.settings.sources import resolve_settings
from studio.voices.catalog import list_voices
from tortoise.checkpoints.layout import find_missing_files

STARTER_MODEL = "starter"
MIN_FREE_BYTES = 1_000_000_000  # clips are small; downloads check for themselves
MIN_PYTHON, MAX_PYTHON = (3, 10), (3, 14)
NVIDIA_DRIVER_FILE = Path("/proc/driver/nvidia/version")
RESTORE_COMMAND = "testudo doctor --restore-jobs"  # while the studio is closed
CheckState = Literal["good", "note", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckResult:
    """The result of one check. note: works, but could be better;  fix: one command."""

    name: str
    state: CheckState
    message: str
    cause: str = ""
    fix: str = ""


def run_checks(
    layout: ProjectPaths, system: SystemInfo, *, port: bool = True
) -> list[HealthCheckResult]:
    """Run all checks. layout: the default one, before settings move its folders.

    port: whether to check that the port is free, which it is not while the studio runs.
    """
    found = [_check_python(), *_check_packages(layout), *_check_torch(system.torch)]
    settings, settings_result = _check_settings(layout)
    layout = apply_folders(layout, settings)
    found += [
        settings_result,
        *_check_folders(system),
        _check_job_store(layout),
        _check_ffmpeg(system),
        _check_starter(layout),
    ]
    found += _check_defaults(layout, settings)
    return [*found, _check_port(settings)] if port else found


def find_package_problems(requirements: str) -> list[str]:
    """Return every package that is missing or of another version than requirements.txt names."""
    problems = []
    for line in requirements.splitlines():
        try:
            wanted = Requirement(line.partition("#")[0])
        except InvalidRequirement:  # an empty line, or an option of pip
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        version, installed = str(wanted.specifier).lstrip("="), get_installed_version(wanted.name)
        if not installed:
            problems.append(f"{wanted.name} {version} is missing")
        elif not wanted.specifier.contains(installed, prereleases=True):
            problems.append(f"{wanted.name} is {installed}, not {version}")
    return problems


def _fault(name: str, cause: str, message: str, fix: str | None = None) -> HealthCheckResult:
    known = get_error_info(cause)
    return HealthCheckResult(
        name=name,
        state="fault",
        message=message,
        cause=cause,
        fix=known.fix if fix is None else fix,
    )


def _good(name: str, message: str) -> HealthCheckResult:
    return HealthCheckResult(name=name, state="good", message=message)


def _note(name: str, message: str, fix: str = "") -> HealthCheckResult:
    return HealthCheckResult(name=name, state="note", message=message, fix=fix)


def _check_python() -> HealthCheckResult:
    message = ".".join(map(str, sys.version_info[:3]))
    if MIN_PYTHON <= sys.version_info[:2] <= MAX_PYTHON:
        return _good("Python", message)
    return _fault(
        "Python",
        "missing_package",
        f"{message}; Testudo needs 3.10 to 3.14.",
        "rm -rf .venv && PYTHON=/path/to/python3.12 ./start.sh --no-launch",
    )


def _check_packages(layout: ProjectPaths) -> Iterator[HealthCheckResult]:
    needed = layout.root / "requirements.txt"
    if not needed.is_file():  # a studio somewhere else than its source
        needed = Path(__file__).resolve().parents[3] / "requirements.txt"
    if not needed.is_file():
        return
    problems = find_package_problems(needed.read_text(encoding="utf-8"))
    if problems:
        yield _fault("Packages", "missing_package", f"{'; '.join(problems)}.")
    else:
        yield _good("Packages", "as in requirements.txt")


def _check_torch(torch: TorchInfo) -> Iterator[HealthCheckResult]:
    if torch.cause:
        yield _fault("torch", torch.cause, torch.problem)
        return
    if _strip_build_tag(torch.torch) != _strip_build_tag(torch.torchaudio) or _build_differs(torch):
        yield _fault(
            "torch", "torch_pair", f"torch {torch.torch} with torchaudio {torch.torchaudio}."
        )
    else:
        yield _good("torch", f"{torch.torch}{f', CUDA {torch.cuda}' if torch.cuda else ''}")
    yield _check_devices(torch)


def _check_devices(torch: TorchInfo) -> HealthCheckResult:
    names = ", ".join(f"{device.name} ({device.label})" for device in torch.devices)
    if torch.unsuited:
        return _fault(
            "Devices",
            "wrong_cuda_build",
            f"This torch build does not support {', '.join(torch.unsuited)}.",
        )
    has_gpu = any(device.name != "cpu" for device in torch.devices)
    if not has_gpu and torch.driver_warnings:
        return _fault("Devices", "old_driver", torch.driver_warnings[0])
    if not has_gpu and NVIDIA_DRIVER_FILE.exists():
        cause = "old_driver" if torch.cuda else "wrong_cuda_build"
        return _fault(
            "Devices", cause, f"An NVIDIA driver is installed, but torch finds only {names}."
        )
    return _good("Devices", names)


def _strip_build_tag(version: str) -> str:
    return version.partition("+")[0]


def _build_differs(torch: TorchInfo) -> bool:
    builds = {version.partition("+")[2] for version in (torch.torch, torch.torchaudio)} - {""}
    return len(builds) > 1


def _check_settings(layout: ProjectPaths) -> tuple[Settings, HealthCheckResult]:
    try:
        resolved = resolve_settings(layout)
    except AppError as error:
        old = layout.settings_file.with_suffix(".yaml.old")
        fix = f"mv {_quote_path(layout.settings_file)} {_quote_path(old)}"
        return Settings(), _fault("Settings", "bad_settings", str(error), fix)
    message = (
        f"{len(resolved.file_values)} set in {layout.settings_file.name}"
        if resolved.file_values
        else "defaults"
    )
    return resolved.settings, _good("Settings", message)


def _check_folders(system: SystemInfo) -> Iterator[HealthCheckResult]:
    for folder in system.folders:
        name = f"Folder {folder.name}"
        if not folder.writable:
            fix = f'sudo chown -R "$USER" {_quote_path(folder.path)}'
            yield _fault(name, "permission", f"{folder.path} cannot be written to.", fix)
        elif folder.free < MIN_FREE_BYTES:
            message = f"{folder.path} has only {format_bytes(folder.free)} left on its disk."
            yield _fault(name, "no_disk", message, f"du -xhd1 {_quote_path(folder.path)} | sort -h")
        else:
            yield _good(name, f"{folder.path}, {format_bytes(folder.free)} free")


def _check_job_store(layout: ProjectPaths) -> HealthCheckResult:
    if not layout.jobs_db.is_file():
        return _good("Job list", "none yet")
    try:
        with closing(sqlite3.connect(f"{layout.jobs_db.as_uri()}?mode=ro", uri=True)) as journal:
            (answer,) = journal.execute("pragma quick_check(1)").fetchone()
    except sqlite3.Error as cause:
        answer = str(cause)
    if answer == "ok" or "locked" in answer:
        aside = list_set_aside(layout.jobs_db)
        if aside:
            fix = RESTORE_COMMAND if any(one.jobs for one in aside) else ""
            return _note("Job list", f"good; {aside[-1].message}", fix)
        return _good("Job list", "whole")
    fix = f"mv {_quote_path(layout.state)} {_quote_path(layout.state.with_suffix('.damaged'))}"
    return _fault("Job list", "journal_damaged", f"{layout.jobs_db.name}: {answer}.", fix)


def _check_ffmpeg(system: SystemInfo) -> HealthCheckResult:
    if system.ffmpeg:
        return _good("ffmpeg", system.ffmpeg)
    message = "not installed: wav, flac, ogg, opus and mp3 are read, other formats are not."
    return _note("ffmpeg", message, get_error_info("missing_ffmpeg").fix)


def _check_starter(layout: ProjectPaths) -> HealthCheckResult:
    folder = layout.models / STARTER_MODEL
    restore = f"git checkout -- {_quote_path(folder)}" if (layout.root / ".git").exists() else None
    if not folder.is_dir():
        message = f"There is no model {STARTER_MODEL} in {layout.models}."
        return _fault("Starter weights", "missing_weights", message, restore)
    if missing := find_missing_files(folder):
        message = f"{', '.join(missing)} missing."
        return _fault("Starter weights", "incomplete_weights", message, restore)
    recorded = read_checksums(folder)
    wrong = [
        file.name
        for file in list_tensor_files(folder)
        if file.name in recorded and sha256_file(file) != recorded[file.name].get("sha256")
    ]
    if wrong:
        message = f"{', '.join(wrong)}: checksum mismatch."
        return _fault("Starter weights", "corrupt_weights", message, restore)
    return _good("Starter weights", "whole")


def _check_defaults(layout: ProjectPaths, settings: Settings) -> Iterator[HealthCheckResult]:
    voices = [voice.name for voice in list_voices(layout)]
    if settings.voice and settings.voice not in (*voices, "random") and "+" not in settings.voice:
        message = f"The default voice {settings.voice!r} does not exist."
        yield _fault("Voices", "missing_voice", message, ".venv/bin/testudo settings unset voice")
    elif voices:
        yield _good("Voices", f"{len(voices)}")
    else:
        yield _note("Voices", f"none yet: put clips into a folder under {layout.voices}.")
    if settings.bundle not in (STARTER_MODEL, AUTO) and not layout.model(settings.bundle).is_dir():
        message = f"The default model {settings.bundle!r} does not exist."
        fix = ".venv/bin/testudo settings unset bundle"
        yield _fault("Default model", "missing_weights", message, fix)
    can_download = not settings.offline
    reason = describe_voicefixer_problem(can_download=can_download)
    if settings.voice_fixer and reason:
        message = f"It is turned on, but not available. {reason}"
        yield _note("Voice Fixer", message, INSTALL_COMMAND if missing_packages() else "")


def _check_port(settings: Settings) -> HealthCheckResult:
    address = parse_address(settings.listen)
    try:
        listener, _ = open_socket(address)
    except AppError as error:
        cause = error.code or "bad_address"
        return _fault("Port", cause, str(error))
    listener.close()
    return _good("Port", f"{address.host}:{address.port} is free")


def _quote_path(path: Path) -> str:
    return f"'{path}'" if any(letter in str(path) for letter in " '\"$&()") else str(path)

"""The doctor: each fault is found, with the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.error_classifier import load_error_catalog
from core.paths import ProjectPaths
from engines.model_files import CHECKSUMS_FILE
from jobs.store import JobStore
from studio.diagnostics import checks
from studio.diagnostics.checks import HealthCheckResult, run_checks
from studio.diagnostics.report import format_report
from studio.diagnostics.system_info import (
    DeviceInfo,
    FolderInfo,
    SystemInfo,
    TorchInfo,
    collect_folder_info,
    collect_system_info,
    get_memory_bytes,
    probe_torch,
    redact_private_data,
)
from studio.diagnostics.voicefixer import INSTALL_COMMAND
from support.tiny_bundle import make_tiny_bundle

Run = Callable[..., tuple[int, str, str]]
CPU = DeviceInfo(name="cpu", label="processor")
GPU = DeviceInfo(name="cuda:0", label="NVIDIA H200", memory=150_000_000_000)
GOOD = TorchInfo(torch="2.11.0+cpu", torchaudio="2.11.0+cpu", devices=(CPU,))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle to copy, which is quicker than to make."""
    return make_tiny_bundle(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def whole(layout: ProjectPaths, tiny: Path) -> ProjectPaths:
    """A studio whose starter is a real, tiny bundle."""
    shutil.rmtree(layout.models / "starter")
    shutil.copytree(tiny, layout.models / "starter")
    return layout


@pytest.fixture
def system(whole: ProjectPaths) -> SystemInfo:
    """This machine, with a torch that works."""
    return collect_system_info(whole, GOOD)


def faults(
    layout: ProjectPaths, system: SystemInfo, *, port: bool = False
) -> list[HealthCheckResult]:
    return [f for f in run_checks(layout, system, port=port) if f.state == "fault"]


def only_fault(
    layout: ProjectPaths, system: SystemInfo, *, port: bool = False
) -> HealthCheckResult:
    found = faults(layout, system, port=port)
    assert len(found) == 1, found
    assert found[0].cause in load_error_catalog() and found[0].fix, found
    return found[0]


def test_a_whole_studio_has_no_fault(whole: ProjectPaths, system: SystemInfo) -> None:
    assert faults(whole, system) == []


@pytest.mark.parametrize(
    ("torch", "cause", "told"),
    [
        (replace(GOOD, torchaudio="2.10.0+cpu"), "torch_pair", "torchaudio 2.10.0+cpu"),
        (replace(GOOD, torchaudio="2.11.0+cu130"), "torch_pair", "torchaudio 2.11.0+cu130"),
        (TorchInfo(cause="torch_broken", problem="libcudart.so.12: cannot open"), "torch_broken",
         "libcudart"),
        (replace(GOOD, driver_warnings=("The NVIDIA driver on your system is too old",)),
         "old_driver", "too old"),
        (replace(GOOD, devices=(GPU, CPU), unsuited=("NVIDIA H200",)), "wrong_cuda_build",
         "does not support NVIDIA H200"),
    ],
)  # fmt: skip
def test_a_torch_that_does_not_fit_is_a_fault(
    whole: ProjectPaths, system: SystemInfo, torch: TorchInfo, cause: str, told: str
) -> None:
    fault = only_fault(whole, replace(system, torch=torch))
    assert fault.cause == cause and told in fault.message


def test_a_driver_that_torch_does_not_see_is_a_fault(
    whole: ProjectPaths, system: SystemInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "version"
    driver.write_text("NVRM version")
    monkeypatch.setattr("studio.diagnostics.checks.NVIDIA_DRIVER_FILE", driver)
    assert only_fault(whole, system).cause == "wrong_cuda_build"
    with_cuda = replace(system, torch=replace(GOOD, cuda="13.0"))
    assert only_fault(whole, with_cuda).cause == "old_driver"


def test_a_damaged_starter_is_a_fault_that_names_the_file(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    file = whole.models / "starter" / "gpt.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-2] ^= 1
    file.write_bytes(bytes(raw))
    assert "gpt.safetensors" in only_fault(whole, system).message
    file.unlink()
    assert only_fault(whole, system).cause == "incomplete_weights"
    shutil.rmtree(whole.models / "starter")
    assert only_fault(whole, system).cause == "missing_weights"


def test_a_starter_in_a_checkout_is_restored_by_git(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    (whole.root / ".git").mkdir()
    (whole.models / "starter" / "clvp.safetensors").unlink()
    assert only_fault(whole, system).fix.startswith("git checkout -- ")


def test_a_starter_without_checksums_is_not_called_damaged(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    (whole.models / "starter" / CHECKSUMS_FILE).unlink()
    assert faults(whole, system) == []


def test_a_settings_file_with_a_mistake_is_a_fault(whole: ProjectPaths, system: SystemInfo) -> None:
    whole.settings_file.write_text("voise: alice\n")
    fault = only_fault(whole, system)
    assert fault.cause == "bad_settings" and "line 1" in fault.message
    assert fault.fix == f"mv {whole.settings_file} {whole.settings_file}.old"


def test_a_port_that_is_taken_is_a_fault_and_not_looked_at_from_the_page(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        whole.settings_file.write_text(f"listen: 127.0.0.1:{other.getsockname()[1]}\n")
        fault = only_fault(whole, system, port=True)
        assert fault.cause == "port_taken" and "--listen" in fault.fix
        assert faults(whole, system, port=False) == []


def test_a_default_voice_or_model_that_is_gone_is_a_fault(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    whole.settings_file.write_text("voice: nobody\n")
    assert only_fault(whole, system).cause == "missing_voice"
    whole.settings_file.write_text("bundle: tortoise\n")
    assert only_fault(whole, system).cause == "missing_weights"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_found_as_it_is(whole: ProjectPaths) -> None:
    whole.voices.chmod(0o500)
    assert not next(
        folder for folder in collect_folder_info(whole) if folder.name == "voices"
    ).writable


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_faults(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    shut = FolderInfo(name="results", path=whole.results, free=10**11, writable=False)
    assert only_fault(whole, replace(system, folders=(shut,))).cause == "permission"
    full = FolderInfo(name="results", path=whole.results, free=10**8, writable=True)
    assert only_fault(whole, replace(system, folders=(full,))).cause == "no_disk"


def test_a_damaged_list_of_jobs_is_a_fault(whole: ProjectPaths, system: SystemInfo) -> None:
    whole.jobs_db.parent.mkdir(parents=True)
    whole.jobs_db.write_bytes(b"SQLite format 3\0" + b"but not really" * 400)
    assert only_fault(whole, system).cause == "journal_damaged"
    whole.jobs_db.unlink()
    sqlite3.connect(whole.jobs_db).execute("create table jobs (id)").connection.close()
    assert faults(whole, system) == []


def test_a_list_of_jobs_that_was_set_aside_is_reported(
    whole: ProjectPaths, system: SystemInfo
) -> None:
    whole.jobs_db.parent.mkdir(parents=True)
    whole.jobs_db.write_bytes(b"no database")
    JobStore.open(whole.jobs_db).close()
    notes = [one.message for one in run_checks(whole, system, port=False) if one.state == "note"]
    assert any("a damaged one was kept as state/journal.damaged-" in told for told in notes)


def test_a_missing_ffmpeg_is_worth_a_note_only(whole: ProjectPaths, system: SystemInfo) -> None:
    found = run_checks(whole, replace(system, ffmpeg=""), port=False)
    (note,) = [finding for finding in found if finding.state == "note"]
    assert note.name == "ffmpeg" and note.fix


def test_a_missing_voicefixer_that_is_wanted_comes_with_its_command(
    whole: ProjectPaths, system: SystemInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.diagnostics.voicefixer.REQUIRED_PACKAGES", ("no_such_package",))
    whole.settings_file.write_text("voice_fixer: true\n")
    found = {one.name: one for one in run_checks(whole, system, port=False)}
    assert found["Voice Fixer"].state == "note" and found["Voice Fixer"].fix == INSTALL_COMMAND
    assert INSTALL_COMMAND.startswith(".venv/bin/python -m pip")  # not the pip of some other Python


def test_packages_are_held_against_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"torch": "2.11.0+cpu", "numpy": "1.0"}
    monkeypatch.setattr(checks, "get_installed_version", lambda name: here.get(name, ""))
    pinned = (
        "# why\ntorch==2.11.0\nnumpy==2.0  # pair\nscipy==1.0\n"
        'old==1.0; python_version < "3.0"\nnew==1.0; python_version >= "3.10"\n'
    )
    assert checks.find_package_problems(pinned) == [
        "numpy is 1.0, not 2.0", "scipy 1.0 is missing", "new 1.0 is missing",
    ]  # fmt: skip


def test_torch_is_asked_in_a_process_of_its_own() -> None:
    told = probe_torch()
    assert told.cause == "" and told.devices[-1] == CPU
    assert told.torch.partition("+")[0] == told.torchaudio.partition("+")[0]


def test_a_torch_that_cannot_be_loaded_is_reported_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "raise ImportError('libcudart.so.12: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    told = probe_torch()
    assert told.cause == "torch_broken" and "libcudart" in told.problem


def test_a_python_that_cannot_be_started_is_a_problem_of_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    found = probe_torch()
    assert found.cause == "torch_broken" and "/nowhere/python" in found.problem


def test_memory_is_what_the_system_reports() -> None:
    memory, free = get_memory_bytes()
    assert memory == psutil.virtual_memory().total and 0 < free <= memory


def test_a_report_names_no_private_folder(whole: ProjectPaths, system: SystemInfo) -> None:
    text = format_report(system, run_checks(whole, system, port=False), whole.root)
    assert str(whole.root) not in text and str(Path.home()) not in text
    assert "<studio>/voices" in text and "Python" in text and "2.11.0+cpu" in text
    assert redact_private_data("a /nowhere b", Path("/")) == "a /nowhere b"


def test_the_doctor_on_the_command_line_tells_and_answers_with_its_exit_code(
    testudo: Run, whole: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.diagnostics.system_info.probe_torch", lambda: GOOD)
    whole.settings_file.write_text("listen: 127.0.0.1:0\n")
    code, out, err = testudo("doctor")
    assert (code, err) == (0, "") and "No faults." in out
    whole.settings_file.write_text("volume: 9\n")
    code, out, _ = testudo("doctor", "--json")
    told = json.loads(out)
    (fault,) = [finding for finding in told["findings"] if finding["state"] == "fault"]
    assert code == 2 and told["faults"] == 1 and "volume is 9" in fault["message"]
    assert f"mv {whole.settings_file} " in testudo("doctor")[1]


def test_settings_are_shown_set_and_unset_on_the_command_line(
    testudo: Run, layout: ProjectPaths
) -> None:
    assert testudo("settings", "set", "low_vram", "on")[1] == "low_vram: true (settings.yaml).\n"
    assert "next start" in testudo("settings", "set", "listen", "127.0.0.1:8000")[1]
    assert testudo("settings", "set", "options", "{samples: 9}")[0] == 0
    shown = {row["name"]: row for row in json.loads(testudo("settings", "show", "--json")[1])}
    assert shown["low_vram"] == {"name": "low_vram", "value": True, "source": "settings.yaml"}
    assert shown["volume"]["source"] == "default"
    assert testudo("settings", "unset", "low_vram")[1] == "low_vram: false (default).\n"
    assert testudo("settings", "path")[1].strip() == str(layout.settings_file)
    assert "low_vram" in testudo("settings")[1]
    listed = testudo("settings", "show", "--json")[1]
    assert testudo("settings", "--json")[1] == testudo("settings", "--json", "show")[1] == listed


def test_a_flag_in_the_wrong_place_is_not_suggested_for_itself(testudo: Run) -> None:
    code, _, err = testudo("--json", "voices")
    assert code == 2 and "Unknown option --json" in err and "Did you mean '--json'" not in err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("low_vrm", "on", "Did you mean 'low_vram'"),
        ("low_vram", "perhaps", "must be true or false"),
        ("threads", "many", "must be a whole number"),
        ("volume", "9", "Nothing was saved. volume is 9.0"),
        ("options", "[", "must be a table"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_on_the_command_line(
    testudo: Run, layout: ProjectPaths, name: str, value: str, told: str
) -> None:
    code, _, err = testudo("settings", "set", name, value)
    assert code == 2 and told in err and not layout.settings_file.exists()

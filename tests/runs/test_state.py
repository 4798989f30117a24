"""A saved state is whole or the one before, and a disk without room is told of in time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from runs import state as train_state
from runs.state import (
    DiskFullError,
    StateError,
    count_tensor_bytes,
    is_disk_full_error,
    load_state,
    mark_state_good,
    restore_good_state,
    save_state,
)

SRC = Path(__file__).resolve().parents[2] / "src"


def step_of(folder: Path) -> int:
    state = load_state(folder)
    assert state is not None
    return int(state["step"])


def test_what_was_saved_comes_back_exactly(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None
    save_state(tmp_path, {"step": 3, "parts": {"model": {"w": torch.tensor([0.1, -1e-30])}}})
    state = load_state(tmp_path)
    assert state is not None and state["step"] == 3
    assert torch.equal(state["parts"]["model"]["w"], torch.tensor([0.1, -1e-30]))
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_bytes_are_counted_in_nested_parts() -> None:
    assert (
        count_tensor_bytes({"a": [torch.zeros(3), {"b": torch.zeros(2, dtype=torch.half)}], "c": 1})
        == 16
    )


def test_a_disk_without_room_is_told_of_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path, {"step": 1})
    usage = type("usage", (), {"free": 60_000_000})
    monkeypatch.setattr(train_state.shutil, "disk_usage", lambda folder: usage)
    save_state(tmp_path, {"step": 2, "w": torch.zeros(2_000_000)})
    with pytest.raises(DiskFullError, match="Saving takes 62 MB, but the disk has 60 MB left"):
        save_state(tmp_path, {"step": 3, "w": torch.zeros(3_000_000)})
    assert step_of(tmp_path) == 2


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("PytorchStreamWriter failed"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        SafetensorError("Error while serializing: I/O error: Disk quota exceeded (os error 122)"),
    ],
)
def test_a_disk_that_fills_up_while_writing_leaves_the_old_state_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save_state(tmp_path, {"step": 1})

    def save(state: Any, handle: Any) -> None:
        handle.write(b"half of it")
        raise error

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(DiskFullError, match="everything saved before is intact"):
        save_state(tmp_path, {"step": 2})
    assert step_of(tmp_path) == 1 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("Tensors on meta device have no data to save"),
        SafetensorError("Error while serializing: I/O error: Permission denied (os error 13)"),
    ],
)
def test_a_save_that_fails_for_another_reason_keeps_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def save(state: Any, handle: Any) -> None:
        raise error

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(type(error)) as caught:
        save_state(tmp_path, {"step": 2})
    assert caught.value is error and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("numbers", [3, 3_000_000])
def test_what_torch_says_of_a_disk_that_is_really_full_is_recognised(numbers: int) -> None:
    with pytest.raises((OSError, RuntimeError)) as caught:
        torch.save({"w": torch.zeros(numbers)}, "/dev/full")
    assert is_disk_full_error(caught.value)


def test_after_a_divergence_the_last_sound_state_is_the_one_to_go_on_from(tmp_path: Path) -> None:
    save_state(tmp_path, {"step": 1})
    mark_state_good(tmp_path)
    save_state(tmp_path, {"step": 2})
    restore_good_state(tmp_path)
    assert step_of(tmp_path) == 1
    save_state(tmp_path, {"step": 5})
    restore_good_state(tmp_path)
    assert step_of(tmp_path) == 1


def test_without_a_sound_state_the_run_begins_anew(tmp_path: Path) -> None:
    save_state(tmp_path, {"step": 2})
    restore_good_state(tmp_path)
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04 cut short"])
def test_a_damaged_state_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(StateError, match="Delete it to restart"):
        load_state(tmp_path)


def test_a_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"step": Path("evil")}, tmp_path / "state.pt")
    with pytest.raises(StateError, match="damaged"):
        load_state(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_killed_while_it_saves_leaves_a_whole_state(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from runs.state import save_state\n"
        "step = 0\n"
        "while True:\n"
        "    save_state(Path(sys.argv[1]), {'step': step, 'w': torch.full((300_000,), step)})\n"
        "    step += 1\n"
        "    if step == 3: print('going', flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as said:
        said.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    state = load_state(tmp_path)
    assert state is not None and state["step"] >= 2
    assert bool((state["w"] == state["step"]).all())

"""Detached work: it outlives who began it, is known by its lock, and its end is told in words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from jobs import detached
from jobs.detached import (
    FORMER_STATUS_FILE,
    STATUS_FILE,
    AlreadyRunningError,
    ProcessStatus,
)
from jobs.file_lock import FileLock, acquire_lock, is_locked
from jobs.models import JobError

SRC = Path(detached.__file__).resolve().parents[1]
WORKS = (
    "import pathlib, sys, time\n"
    "place = pathlib.Path(sys.argv[1])\n"
    "print('working', flush=True)\n"
    "(place / 'began').touch()\n"
    "while not (place / 'stop').exists(): time.sleep(0.01)\n"
    "(place / 'saved').touch()\n"
)
DYING = "import os, sys; open(sys.argv[1] + '/began', 'w').close(); os.kill(os.getpid(), 9)"
DEAF = "import time, sys; open(sys.argv[1] + '/began', 'w').close(); time.sleep(60)"


def python(code: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", code, str(folder)]


def until(happens: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "my run"
    yield place
    detached.stop_or_kill(place, 0.0)


def begin(folder: Path, code: str = WORKS) -> None:
    detached.start_detached(python(code, folder), folder)
    until((folder / "began").exists)


def test_work_is_alive_until_it_is_asked_to_stop_and_saves_first(folder: Path) -> None:
    detached.start_detached(python(WORKS, folder), folder, turn=folder.with_name("turn"))
    assert detached.read_process_status(folder).launched
    until((folder / "began").exists)
    assert detached.is_alive(folder) and not (folder / "saved").exists()
    detached.request_stop(folder)
    until(lambda: not detached.is_alive(folder))
    assert (folder / "saved").exists()
    kept = detached.read_process_status(folder)
    assert kept.state == "exited"
    assert kept.code == 0 and kept.launched and kept.ended and kept.launched <= kept.ended
    assert detached.read_log_tail(folder) == "working\n"


def test_two_of_one_folder_are_refused_and_the_first_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached, "EXIT_TIMEOUT_S", 0.1)
    begin(folder)
    with pytest.raises(AlreadyRunningError, match="my run is already running"):
        detached.start_detached(python(WORKS, folder), folder)
    with (
        pytest.raises(AlreadyRunningError, match="already running"),
        detached.hold_folder_lock(folder),
    ):
        pass
    assert detached.is_alive(folder)


def test_work_survives_the_kill_of_who_began_it(folder: Path) -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(SRC)!r})\n"
        "from pathlib import Path\n"
        "from jobs import detached\n"
        f"detached.start_detached({python(WORKS, folder)!r}, Path({str(folder)!r}))\n"
        "print('begun', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as studio:
        assert studio.stdout is not None and studio.stdout.readline() == b"begun\n"
        os.killpg(studio.pid, signal.SIGKILL)
    until((folder / "began").exists)
    assert detached.is_alive(folder)
    assert detached.stop_or_kill(folder, 20)
    assert (folder / "saved").exists()


def test_work_that_does_not_listen_is_ended_for_good(folder: Path) -> None:
    begin(folder, DEAF)
    assert not detached.stop_or_kill(folder, 0.1)
    assert not detached.is_alive(folder)


def test_how_killed_work_ended_is_written_down(folder: Path) -> None:
    begin(
        folder, "import os, sys; open(sys.argv[1] + '/began', 'w').close(); os.kill(os.getpid(), 9)"
    )
    until(lambda: not detached.is_alive(folder))
    assert detached.read_process_status(folder).code == -9
    assert "memory ran out" in detached.describe_exit_code(-9)


def test_a_folder_stays_taken_while_the_work_lives_though_its_keeper_was_killed(
    folder: Path,
) -> None:
    begin(folder)
    os.kill(detached.read_process_status(folder).group, signal.SIGKILL)
    time.sleep(0.1)
    assert detached.is_alive(folder)
    assert detached.stop_or_kill(folder, 20)
    assert detached.read_process_status(folder).code is None


def test_only_one_of_those_who_share_a_turn_works(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    turn = tmp_path / "turn"
    try:
        detached.start_detached(python(WORKS, one), one, turn=turn)
        until((one / "began").exists)
        detached.start_detached(python(WORKS, two), two, turn=turn)
        assert detached.is_alive(two) and detached.read_process_status(two).launched is None
        assert [detached.read_process_status(x).state for x in (one, two)] == ["running", "waiting"]
        assert not (two / "began").exists()
        assert detached.stop_or_kill(one, 20)
        until((two / "began").exists)
    finally:
        detached.stop_or_kill(one, 0), detached.stop_or_kill(two, 0)


def test_waiting_work_can_be_stopped_before_its_turn(tmp_path: Path) -> None:
    held = acquire_lock(tmp_path / "turn")
    assert held is not None
    detached.start_detached(
        python(WORKS, tmp_path / "two"), tmp_path / "two", turn=tmp_path / "turn"
    )
    assert detached.stop_or_kill(tmp_path / "two", 20)
    assert not (tmp_path / "two" / "began").exists()
    held.release()


def test_work_that_is_just_ending_is_waited_for(folder: Path) -> None:
    begin(folder)
    detached.request_stop(folder)
    detached.start_detached(python(WORKS, folder), folder)
    assert detached.is_alive(folder) and (folder / "saved").exists()


def test_a_stale_stop_does_not_end_what_begins_anew(folder: Path) -> None:
    folder.mkdir()
    (folder / "stop").touch()
    begin(folder)
    assert detached.is_alive(folder) and not (folder / "saved").exists()


def test_a_stop_requested_at_the_moment_of_the_start_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    stopping = Thread(target=detached.request_stop, args=(folder,))

    def acquire_and_be_stopped(path: Path, timeout_s: float = 0.05) -> FileLock | None:
        lock = acquire_lock(path, timeout_s)
        if path.name == "lock" and not stopping.ident:
            stopping.start()
            stopping.join(0.5)
        return lock

    monkeypatch.setattr(detached, "acquire_lock", acquire_and_be_stopped)
    with detached.hold_folder_lock(folder):
        stopping.join(20)
        assert (folder / "stop").exists()


def test_a_command_that_is_not_there_is_reported(folder: Path) -> None:
    detached.start_detached([str(folder / "nothing")], folder)
    until(lambda: not detached.is_alive(folder))
    assert "No such file" in detached.read_log_tail(folder)


def test_a_damaged_diary_of_the_keeper_is_none(folder: Path) -> None:
    folder.mkdir()
    for junk in (b"\xff\x00", b"[1]", b'{"group": "x", "launched": {}, "code": "9"}', b""):
        (folder / STATUS_FILE).write_bytes(junk)
        assert detached.read_process_status(folder) == ProcessStatus()
    assert detached.read_log_tail(folder) == "" and not detached.is_alive(folder)
    assert detached.stop_or_kill(folder, 0)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ('{"group": 7}', "waiting"),
        ('{"group": 7, "launched": 5.5}', "running"),
        ('{"group": 7, "launched": 5.5, "ended": 6, "code": 0}', "exited"),
    ],
)
def test_the_status_of_the_former_version_is_read(folder: Path, text: str, state: str) -> None:
    folder.mkdir()
    (folder / FORMER_STATUS_FILE).write_text(text)
    status = detached.read_process_status(folder)
    assert (status.state, status.group) == (state, 7)


def test_nothing_is_killed_for_a_folder_whose_lock_is_free(folder: Path) -> None:
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        (folder / STATUS_FILE).write_text(json.dumps({"group": bystander.pid}))
        assert detached.stop_or_kill(folder, 0)
        assert bystander.poll() is None
        bystander.kill()


def test_a_lock_is_seen_by_all_and_free_again_when_released(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    assert not is_locked(path)
    held = acquire_lock(path)
    assert held is not None and is_locked(path) and acquire_lock(path) is None
    held.release()
    assert not is_locked(path)


def test_every_way_to_end_has_words() -> None:
    for code in (None, 0, 1, -9, -15, -11, -400):
        assert detached.describe_exit_code(code).startswith("it ")


def test_work_that_cannot_be_begun_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "_SUPERVISOR_CODE", "raise SystemExit('no room')")
    with pytest.raises(JobError, match=r"could not be started.*no room"):
        detached.start_detached(python(WORKS, folder), folder)

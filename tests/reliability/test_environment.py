"""Other time zones, clocks, locales, folders and permissions: the same clips."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from audio.io import read_clip
from campaigns.processes import call
from campaigns.served import open_app, write_served_studio
from core.errors import AppError
from studio.app.studio import Studio
from studio.history.query import Search
from studio.history.service import History
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.inline_worker import InlineStudio


def _speak(root: Path, environment: dict[str, str], umask: int, clock_s: float) -> dict[str, str]:
    """Speak a clip under other circumstances; returns what is there."""
    os.environ.update(environment)
    time.tzset()
    os.umask(umask)
    now = time.time
    time.time = lambda: now() + clock_s  # type: ignore[assignment]
    with open_app(root) as (_, studio):
        wanted = SpeechRequestInput(text="Good evening.", voice="alice", options={"seed": 7})
        job = studio.submit(build_request(studio.settings, wanted, studio.layout))
        done = studio.wait(job.id, 60)
        assert done.state == "done", done.failure
        path = Path(str((done.result or {})["path"]))
        history = History.open(studio.layout)
        history.update()
        found = history.find(Search())
    sound = hashlib.sha256(read_clip(path).wave.numpy().tobytes()).hexdigest()
    return {"sound": sound, "clips": str(found.total), "mode": oct(path.stat().st_mode & 0o777)}


PLACES = {
    "another time zone, the clock an hour back": (
        "root",
        {"TZ": "Pacific/Kiritimati"},
        0o022,
        -3_600.0,
    ),
    "the clock years ahead": ("root", {}, 0o022, 1e9),
    "spaces and letters of any script": ("Mein Ordner/Ünï 猫 'x' $(d) %41", {}, 0o022, 0.0),
    "no locale": ("root", {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}, 0o022, 0.0),
    "no home, private files": (
        "root",
        {"HOME": "/nowhere", "XDG_CACHE_HOME": "/nowhere"},
        0o077,
        0.0,
    ),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The clip of a plain studio."""
    root = write_served_studio(tmp_path_factory.mktemp("plain") / "root")
    found: dict[str, str] = call(_speak, root, {}, 0o022, 0.0)
    return found


@pytest.mark.parametrize("name", PLACES)
def test_a_clip_is_the_same_under_other_circumstances(
    name: str, tmp_path: Path, expected: dict[str, str]
) -> None:
    folder, environment, umask, clock_s = PLACES[name]
    root = write_served_studio(tmp_path / folder)
    found = call(_speak, root, environment, umask, clock_s)
    assert found["sound"] == expected["sound"] and found["clips"] == "1"
    if umask == 0o077:
        assert found["mode"] == "0o600"


def test_jobs_keep_their_order_when_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.models import Job
    from jobs.store import JobStore

    store = JobStore.open(tmp_path / "journal.sqlite")
    for number in range(4):
        store.add(
            Job(
                id=str(number), task="speak", request={}, title="", state="waiting",
                created=1e9 - 3_600 * number,
            )
        )  # fmt: skip
    assert [job.id for job in store.jobs(9)] == ["3", "2", "1", "0"]
    first = store.next_waiting()
    assert first is not None and first.id == "0"
    store.close()


def test_one_folder_is_open_in_one_studio_at_a_time(tmp_path: Path) -> None:
    root = write_served_studio(tmp_path / "root")
    first, second = InlineStudio.open(root), InlineStudio.open(root)
    first.start()
    with pytest.raises(AppError, match="already open"):
        second.start()
    first.close()
    third: Studio = InlineStudio.open(root)
    third.start()
    third.close()
    second.close()

"""The log file, and the report for a bug that leaves out texts, voices and keys."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.paths import ProjectPaths
from jobs.models import Job, JobFailure
from studio.diagnostics.checks import HealthCheckResult
from studio.diagnostics.log import (
    LOGGER,
    log_ended_job,
    parse_log,
    read_log,
    start_log,
    stop_log,
)
from studio.diagnostics.support_report import (
    list_public_settings,
    strip_details,
    write_support_report,
)
from studio.diagnostics.system_info import TorchInfo, collect_system_info
from studio.schemas.settings import Settings

SECRET_TEXT = "Martin shook the blue lantern"
SECRET_VOICE = "grandmother"
SECRET_KEY = "sk-very-secret-key"
TRACE = f"""Traceback (most recent call last):
  File "/somewhere/src/studio/x.py", line 7, in speak
    raise ValueError(text)
ValueError: {SECRET_TEXT}"""


@pytest.fixture
def log(layout: ProjectPaths) -> Iterator[ProjectPaths]:
    """A studio whose log is open."""
    handler = start_log(layout)
    yield layout
    stop_log(handler)


def job(**changes: Any) -> Job:
    request = {"text": SECRET_TEXT, "voice": SECRET_VOICE}
    made = Job(id="7", task="speak", request=request, title=SECRET_TEXT, state="done",
               created=0.0, started=1.0, ended=3.5)  # fmt: skip
    return replace(made, **changes)


def test_jobs_are_logged_with_the_level_of_their_end(log: ProjectPaths) -> None:
    log_ended_job(job())
    log_ended_job(job(warnings=("The disk is nearly full.",)))
    failure = JobFailure(cause="out_of_memory", message="No memory.", details=TRACE)
    log_ended_job(job(state="failed", failure=failure))
    log_ended_job(job(state="waiting", ended=None))  # put back: it has not ended
    told = read_log(log)
    assert [entry.level for entry in told] == ["INFO", "WARNING", "ERROR"]
    assert told[0].text == "speak 7: done after 2.5 s"
    assert "(out_of_memory)" in told[2].text and "ValueError" in told[2].details
    assert [entry.level for entry in read_log(log, "ERROR")] == ["ERROR"]
    assert len(read_log(log, "WARNING")) == 2


def test_warnings_of_libraries_are_logged_and_their_chatter_is_not(log: ProjectPaths) -> None:
    logging.getLogger("some.library").info("connected")
    logging.getLogger("some.library").warning("old format")
    assert [entry.source for entry in read_log(log)] == ["some.library"]


def test_only_the_newest_entries_are_read_and_the_file_is_private(log: ProjectPaths) -> None:
    for number in range(20):
        LOGGER.info("entry %d", number)
    assert [entry.text for entry in read_log(log, limit=2)] == ["entry 18", "entry 19"]
    assert log.log.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_start(layout: ProjectPaths) -> None:
    layout.log.parent.parent.mkdir(parents=True, exist_ok=True)
    layout.log.parent.write_text("a file where the folder would be")
    stop_log(start_log(layout))
    assert read_log(layout) == []


def test_lines_before_the_first_entry_are_dropped() -> None:
    assert (
        parse_log(["cut off", "2026-11-29 06:00:00,123 INFO testudo: here", "below"])[0]
        == (parse_log(["2026-11-29 06:00:00,123 INFO testudo: here", "below"])[0])
    )


def test_a_report_has_neither_texts_nor_voices_nor_keys(
    log: ProjectPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTUDO_API_KEY", SECRET_KEY)
    monkeypatch.setenv("TESTUDO_LOGIN", f"owner:{SECRET_KEY}2")
    (log.voices / SECRET_VOICE).mkdir(parents=True)
    (log.results / SECRET_VOICE).mkdir(parents=True)
    failure = JobFailure(cause="x", message=f"Cannot speak {SECRET_TEXT}", details=TRACE)
    failed = job(state="failed", failure=failure)
    log_ended_job(failed)
    LOGGER.warning("key %s of %s, %r", SECRET_KEY, SECRET_VOICE, SECRET_TEXT)
    log.state.joinpath("worker.log").write_text(f"{TRACE}\nspeaking {SECRET_TEXT} {SECRET_KEY}2\n")
    finding = HealthCheckResult(name="Voices", state="note", message=f"{SECRET_VOICE} is short")
    system = collect_system_info(log, TorchInfo(torch="2.11.0"))
    settings = Settings(voice=SECRET_VOICE, openai_voices=f"alloy={SECRET_VOICE}", threads=3)
    path = tmp_path / "report.zip"
    write_support_report(log, path, system, [finding], [failed], settings)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    everything = "\n".join(members.values())
    for private in (SECRET_TEXT, "lantern", SECRET_VOICE, SECRET_KEY, str(log.root)):
        assert private not in everything, private
    assert "threads: 3" in members["settings.txt"] and "voice: (set)" in members["settings.txt"]
    assert "speak: failed, 2.5 s, x" in members["jobs.txt"]
    assert "line 7, in speak" in members["log.txt"] and "ValueError" in members["worker.txt"]
    assert "2.11.0" in members["system.txt"] and "is short" in members["system.txt"]


def test_of_a_traceback_the_frames_and_the_kind_of_error_stay() -> None:
    assert strip_details(f"{TRACE}\nSome words.") == [
        "Traceback (most recent call last):",
        '  File "/somewhere/src/studio/x.py", line 7, in speak',
        "    raise ValueError(text)",
        "ValueError",
    ]


def test_free_text_of_settings_is_only_said_to_be_set() -> None:
    lines = list_public_settings(Settings(mirror="https://user.example.org", device="cuda:0"))
    assert "mirror: (set)" in lines and "format: wav" in lines and 'voice: ""' in lines

"""On a full disk the server starts, lives, and answers 507 with a sentence."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.server import _start_jobs
from core.errors import AppError
from jobs.models import JobError
from jobs.store import JobStore
from studio.app.studio import Studio
from support.api_helpers import refused

FULL = "database or disk is full"


def refuse(*arguments: Any, **options: Any) -> Any:
    try:
        raise sqlite3.OperationalError(FULL)
    except sqlite3.OperationalError as cause:
        raise JobError("The job list cannot be used: the disk is full.") from cause


def test_the_server_starts_on_a_full_disk_and_says_so(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(JobStore, "open", refuse)
    _start_jobs(studio)
    assert "the disk is full" in capsys.readouterr().out
    monkeypatch.setattr(studio, "start", lambda: (_ for _ in ()).throw(AppError("in use")))
    with pytest.raises(AppError, match="in use"):
        _start_jobs(studio)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/jobs", None),
        ("POST", "/api/jobs/speak", {"text": "Hi.", "voice": "alice"}),
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": "alice", "model": "tts-1"}),
    ],
)
def test_what_needs_the_job_list_is_answered_with_507(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    for name in ("jobs", "add", "job"):
        monkeypatch.setattr(JobStore, name, refuse)
    assert "disk is full" in refused(client.request(method, path, json=body), 507)
    assert client.get("/api/voices").status_code == 200
    assert client.get("/api/results").status_code == 200


def test_lists_that_were_set_aside_are_reported_and_taken_over(
    client: TestClient, studio: Studio
) -> None:
    assert client.get("/api/jobs/notices").json() == {"notices": []}
    refused(client.post("/api/jobs/restore"), 409)
    aside = studio.layout.jobs_db.with_name("journal.damaged-20260101-000000.sqlite")
    store = JobStore.open(aside)
    store._connection.execute(
        "INSERT INTO jobs (id, turn, number, task, request, title, state, created)"
        " VALUES ('old', 1, 1, 'speak', '{}', 'Old', 'done', 1.0)"
    )
    store._connection.execute("PRAGMA user_version = 9")
    store._connection.commit()
    store.close()
    (notice,) = client.get("/api/jobs/notices").json()["notices"]
    assert "of a newer version of Testudo" in notice and "POST /api/jobs/restore" in notice
    assert client.post("/api/jobs/restore").json() == {"restored": 1}
    assert [job["title"] for job in client.get("/api/jobs").json()["jobs"]] == ["Old"]
    assert client.get("/api/jobs/notices").json() == {"notices": []}


@pytest.mark.parametrize("value", [10**30, 2**63, -1, "1e3"])
def test_a_number_out_of_range_is_a_422(client: TestClient, value: Any) -> None:
    for name in ("start", "count"):
        assert client.get(f"/api/results?{name}={value}").status_code == 422
    assert client.get(f"/api/jobs?limit={value}").status_code == 422

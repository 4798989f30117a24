"""Trainings and datasets over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from audio.io import write_clip
from studio.app.studio import Studio
from studio.training_runs import config_service as configuring
from studio.training_runs.service import TrainingRunService
from support.api_helpers import refused, tone
from support.training_run_helpers import make_dataset, until, use_fake_trainer
from training.dataset_prep.manifest import ClipRow, Dataset, write_dataset
from training.finetuning.config.facts import MachineFacts
from training.finetuning.config.schema import DatasetConfig, FinetuneConfig, WeightsConfig


@pytest.fixture
def runs(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingRunService]:
    use_fake_trainer(monkeypatch)
    yield studio.runs
    for row in studio.runs.list():
        studio.runs.terminate(row.dataset, row.name, 0.0)


def test_a_training_is_begun_watched_stopped_and_gone_on_with(
    client: TestClient, studio: Studio, runs: TrainingRunService
) -> None:
    folder = make_dataset(studio.layout, mode="wait")
    begun = client.post("/api/runs", json={"dataset": "alice"})
    assert begun.status_code == 202 and begun.json()["name"] == "1"
    until(runs, "alice", "1", "running", step=15)
    (row,) = client.get("/api/runs").json()["runs"]
    assert (row["dataset"], row["state"], row["steps"]) == ("alice", "running", 40)
    assert client.post("/api/runs/alice/1/stop").status_code == 200
    until(runs, "alice", "1", "stopped")
    (folder / "mode").write_text("done")
    assert client.post("/api/runs/alice/1/resume").status_code == 202
    until(runs, "alice", "1", "done")
    seen = client.get("/api/runs/alice/1").json()
    assert seen["best"] == 40 and len(seen["checkpoints"]) == 4
    loss = next(curve for curve in seen["curves"] if curve["name"] == "loss")
    assert loss["points"][0] == [1, 3.95] and len(loss["points"]) == 40
    assert client.get(seen["samples"][0]["url"]).status_code == 200
    assert str(studio.layout.root) not in json.dumps(seen)
    assert "finished or already running" in refused(client.post("/api/runs/alice/1/resume"), 409)


def test_what_cannot_be_is_refused_with_the_right_status(
    client: TestClient, studio: Studio, runs: TrainingRunService
) -> None:
    make_dataset(studio.layout, mode="wait")
    post, get = client.post, client.get
    assert "no dataset 'nobody'" in refused(post("/api/runs", json={"dataset": "nobody"}), 400)
    refused(post("/api/runs", json={"dataset": "../x"}), 400)
    refused(post("/api/runs", json={"dataset": 7}), 422)
    refused(post("/api/runs", json={"dataset": "alice", "secret": 1}), 422)
    refused(get("/api/runs/alice/1"), 404)
    refused(get("/api/runs/alice/..%2f..%2fx"), 404)
    refused(post("/api/runs/alice/1/stop"), 404)
    refused(post("/api/runs/alice/bin/x/restore"), 404)
    post("/api/runs", json={"dataset": "alice", "name": "one"})
    refused(post("/api/runs", json={"dataset": "alice", "name": "One"}), 409)
    until(runs, "alice", "one", "running", step=15)
    refused(client.delete("/api/runs/alice/one"), 409)
    refused(post("/api/runs/alice/one/publish", json={"step": -1}), 422)
    refused(post("/api/runs/alice/one/publish", json={"step": 1, "name": "../x"}), 400)


def test_a_run_is_deleted_and_comes_back(
    client: TestClient, studio: Studio, runs: TrainingRunService
) -> None:
    make_dataset(studio.layout)
    client.post("/api/runs", json={"dataset": "alice"})
    until(runs, "alice", "1", "done")
    deleted = client.delete("/api/runs/alice/1").json()
    assert client.get("/api/runs/alice/bin").json()["runs"] == [deleted]
    assert client.get("/api/runs").json()["runs"] == []
    back = client.post(f"/api/runs/alice/bin/{deleted['id']}/restore")
    assert back.json()["state"] == "done" and runs.list("alice")[0].name == "1"


def test_publishing_is_a_job_that_says_what_is_wrong(
    client: TestClient, studio: Studio, runs: TrainingRunService
) -> None:
    make_dataset(studio.layout)
    client.post("/api/runs", json={"dataset": "alice"})
    until(runs, "alice", "1", "done")
    job = client.post("/api/runs/alice/1/publish", json={"step": 7}).json()
    ended = studio.wait(job["id"], 20)
    assert ended.state == "failed" and ended.failure is not None
    assert "no checkpoint of step 7" in ended.failure.message


def dataset(studio: Studio, **facts: Any) -> None:
    """Write a dataset of two clips, one of them dropped."""
    folder = studio.layout.dataset("lines")
    (folder / "audio").mkdir(parents=True)
    rows = [
        ClipRow(id=f"c{number}", source="one.wav", start_s=number, stop_s=number + 1.0,
                text=f"Line {number}.", kept=number == 0, reason="noisy" * (number == 1),
                part="train" if number == 0 else "")
        for number in range(2)
    ]  # fmt: skip
    for row in rows:
        write_clip(folder / row.file, tone())
    write_dataset(folder, Dataset(name="lines", voice="alice", clips=tuple(rows), **facts))


def test_datasets_and_their_clips_are_listed(client: TestClient, studio: Studio) -> None:
    assert client.get("/api/datasets").json() == {"datasets": []}
    dataset(studio)
    (row,) = client.get("/api/datasets").json()["datasets"]
    assert (row["name"], row["voice"], row["clips"], row["kept"]) == ("lines", "alice", 2, 1)
    assert client.get("/api/datasets/lines").json() == row
    page = client.get("/api/datasets/lines/clips").json()
    assert page["total"] == 2 and client.get(page["clips"][0]["url"]).status_code == 200
    dropped = client.get("/api/datasets/lines/clips?show=dropped").json()
    assert [clip["reason"] for clip in dropped["clips"]] == ["noisy"]
    refused(client.get("/api/datasets/nobody"), 404)
    refused(client.get("/api/datasets/..%2fx"), 404)
    refused(client.get("/api/datasets/lines/clips?page=0"), 422)


def test_a_dataset_is_prepared_as_a_job(client: TestClient, studio: Studio) -> None:
    job = client.post("/api/datasets", json={"voice": "alice"})
    assert job.status_code == 202 and job.json()["task"] == "prepare"
    ended = studio.wait(job.json()["id"], 60)
    assert ended.is_over, ended
    assert "There is no voice" in refused(client.post("/api/datasets", json={"voice": "no"}), 400)
    refused(client.post("/api/datasets", json={"voice": "alice", "folder": "/etc"}), 422)
    wrong = client.post("/api/datasets", json={"voice": "alice", "options": {"longest": 1}})
    assert "longest" in refused(wrong, 400)


def test_a_configuration_that_would_end_badly_says_why_and_is_not_saved(
    client: TestClient, studio: Studio
) -> None:
    dataset(studio)
    answer = client.post("/api/datasets/lines/configure", json={})
    assert "starter" in refused(answer, 400)
    assert not (studio.layout.dataset("lines") / "train.yaml").exists()


def test_a_finding_is_returned_with_its_sentences_only(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset(studio)
    finding = configuring.PreflightFinding(
        level="stop", kind="disk", what="No space.", why="It is full.", fix="Free some.",
        changes={"schedule.steps": 5}, place="models",
    )  # fmt: skip
    config = FinetuneConfig(
        dataset=DatasetConfig(name="lines"), weights=WeightsConfig(bundle="starter")
    )
    report = configuring.ConfigReport(config=config, machine=MachineFacts(), findings=(finding,))
    monkeypatch.setattr(configuring, "propose_config", lambda *given: report)
    monkeypatch.setattr(configuring, "check_config", lambda *given: report)
    answer = client.post("/api/datasets/lines/configure", json={})
    assert answer.status_code == 200 and answer.json()["saved"] is False
    assert answer.json()["findings"] == [
        {"level": "stop", "what": "No space.", "why": "It is full.", "fix": "Free some."}
    ]

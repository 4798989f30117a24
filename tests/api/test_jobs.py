"""Jobs over HTTP: handed in, watched, stopped, taken up again; what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.schemas import ApiContext
from jobs.models import Job
from studio.app.studio import Studio
from support.api_helpers import done, refused
from support.lora_finetune import make_lora_finetune
from support.studio_fixtures import REAL_ENGINES
from support.tiny_bundle import make_tiny_bundle


def test_a_text_is_spoken_and_its_clip_is_fetched(client: TestClient, studio: Studio) -> None:
    body = {
        "text": "Good evening. And welcome.",
        "voice": "alice",
        "options": {"seed": 7, "candidates": 2},
        "delivery": {"format": "flac"},
        "title": "A greeting",
    }
    answer = client.post("/api/jobs/speak", json=body)
    assert answer.status_code == 202 and answer.json()["title"] == "A greeting"
    done(studio, answer.json()["id"])
    job = client.get(f"/api/jobs/{answer.json()['id']}").json()
    assert job["state"] == "done" and job["result"]["seed"] == 7
    assert [take["path"].startswith("alice/00001-") for take in job["result"]["candidates"]]
    clip = client.get(job["result"]["url"])
    assert clip.headers["content-type"] == "audio/flac" and clip.content[:4] == b"fLaC"


def test_a_wrong_method_is_not_answered_as_a_wrong_address(client: TestClient) -> None:
    answer = client.post("/api/jobs", json={})
    assert answer.headers["allow"] == "GET"
    assert "POST is not allowed at this address; GET is." in refused(answer, 405)
    refused(client.post("/api/nothing", json={}), 404)
    refused(client.delete("/v1/audio/speech"), 405)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/api/jobs/speak", {}, "No text was given. Give the text to speak."),
        ("/v1/audio/speech", {}, "input: field required."),
        (
            "/v1/audio/speech",
            {"input": "Hi.", "voice": 5},
            "voice: input should be a valid string or an object.",
        ),
        ("/v1/audio/speech", {"input": "Hi.", "voice": {}}, "voice.id: field required"),
        ("/api/jobs/speak", {"text": 5}, "text: input should be a valid string."),
        ("/api/jobs/speak", {"txt": "Hi."}, "txt: extra inputs are not permitted."),
    ],
)
def test_an_invalid_body_is_described_by_its_fields(
    client: TestClient, path: str, body: dict[str, Any], message: str
) -> None:
    answer = client.post(path, json=body)
    assert message in answer.json()["error"]["message"], answer.text
    assert "VoiceId" not in answer.text and "--" not in answer.text


def test_the_strength_of_an_adapter_is_refused_for_a_model_without_one(
    client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.registry.ENGINES", REAL_ENGINES)
    base = make_tiny_bundle(root / "models" / "tiny")
    make_lora_finetune(base, root / "models" / "finetunes" / "own")
    body = {"text": "Hi.", "voice": "alice", "bundle": "tiny", "options": {"lora_strength": 0.5}}
    told = refused(client.post("/api/jobs/speak", json=body), 400)
    assert "lora_strength is 0.5, but the model tiny has no LoRA adapter" in told
    assert "--" not in told
    answer = client.post("/api/jobs/speak", json={**body, "bundle": "finetunes/own"})
    assert answer.status_code == 202, answer.text


def test_no_path_of_this_machine_is_returned(client: TestClient, spoken: Job, root: Path) -> None:
    for path in ("/api/jobs", f"/api/jobs/{spoken.id}", "/api/voices", "/api/models"):
        assert str(root) not in client.get(path).text
    told = refused(client.post("/api/jobs/speak", json={"text": "Hi.", "voice": "nobody"}), 400)
    assert str(root) not in told and "alice" in told


def test_a_clip_is_reproduced_with_one_thing_changed(
    client: TestClient, spoken: Job, studio: Studio
) -> None:
    name = client.get(f"/api/jobs/{spoken.id}").json()["result"]["path"]
    answer = client.post("/api/jobs/speak", json={"like": name, "voice": "bob"})
    request = done(studio, answer.json()["id"]).request
    assert request["voice"] == "bob" and request["text"] == "Good evening."
    assert request["options"]["seed"] == spoken.request["options"]["seed"]
    refused(client.post("/api/jobs/speak", json={"like": "../../etc/passwd"}), 404)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"voice": "alice"}, 400, "No text was given"),
        ({"text": "Hi."}, 400, "No voice was given"),
        ({"text": "", "voice": "alice"}, 400, "The text is empty"),
        ({"text": "...", "voice": "alice"}, 400, "nothing to speak"),
        ({"text": "x" * 400_001, "voice": "alice"}, 400, "at most 400,000"),
        ({"text": "Hi.", "voice": "alice", "bundle": "../x"}, 400, "is not a valid"),
        ({"text": "Hi.", "voice": "alice", "preset": "best"}, 400, "There is no preset"),
        ({"text": "Hi.", "voice": "alice", "options": {"samples": 0}}, 400, "samples is 0"),
        ({"text": "Hi.", "voice": "alice", "options": {"sampels": 1}}, 400, "Did you mean"),
        ({"text": "Hi.", "voice": "alice", "options": {"seed": 1.5}}, 400, "seed must be"),
        ({"text": "Hi.", "voice": "alice", "delivery": {"format": "exe"}}, 400, "format is"),
        ({"text": "Hi.", "voice": "alice", "out": "/etc/passwd"}, 422, "out: extra"),
        ({"text": 3, "voice": "alice"}, 422, "text: input should be"),
        ({"text": "Hi.", "voice": "alice", "threads": "4"}, 422, "threads"),
        ({"text": "Hi.", "voice": "alice", "title": "x" * 300}, 422, "title"),
        ([], 422, "The request"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_waits(
    client: TestClient, body: Any, status: int, told: str
) -> None:
    assert told in refused(client.post("/api/jobs/speak", json=body), status)
    assert client.get("/api/jobs").json() == {"jobs": []}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"NaN", b"[" * 10_000])
def test_what_is_no_json_is_refused(client: TestClient, content: bytes) -> None:
    kind = {"content-type": "application/json"}
    answer = client.post("/api/jobs/speak", content=content, headers=kind)
    assert refused(answer, answer.status_code) and answer.status_code in (400, 422)


def test_what_is_wrong_with_json_is_told_with_its_place(client: TestClient) -> None:
    kind = {"content-type": "application/json"}
    told = refused(client.post("/api/jobs/speak", content=b'{"text": }', headers=kind), 422)
    assert told == "The request, character 9: not valid JSON, expecting value."


@pytest.mark.parametrize("voice", ["../bob", "..", "/etc", "a\x00b", "con", "x" * 300, "-rf"])
def test_a_hostile_voice_is_refused(client: TestClient, voice: str, root: Path) -> None:
    before = sorted(root.rglob("*"))
    answer = client.post("/api/jobs/speak", json={"text": "Hi.", "voice": voice})
    if answer.status_code == 202:  # the voice is looked up when it is spoken
        job = client.app.state.studio.wait(answer.json()["id"], 20)  # type: ignore[attr-defined]
        assert job.state == "failed" and job.failure.cause != "crashed"
    else:
        refused(answer, 400)
    gone = {"journal", "state", "jobs", "results"}
    new = [path for path in root.rglob("*") if path not in before]
    assert all(gone & set(path.relative_to(root).parts) for path in new)


def test_an_unknown_job_is_not_found(client: TestClient) -> None:
    for method, path in (*(("GET", ""), ("DELETE", ""), ("POST", "/resume"), ("GET", "/events")),):
        refused(client.request(method, f"/api/jobs/nothing{path}"), 404)


def test_a_job_that_is_over_can_neither_be_stopped_nor_taken_up(
    client: TestClient, spoken: Job
) -> None:
    assert "already ended" in refused(client.delete(f"/api/jobs/{spoken.id}"), 409)
    refused(client.post(f"/api/jobs/{spoken.id}/resume"), 409)


def test_a_job_is_watched_until_it_ends(client: TestClient) -> None:
    id = client.post("/api/jobs/speak", json={"text": "Hi.", "voice": "alice"}).json()["id"]
    with client.stream("GET", f"/api/jobs/{id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    last = json.loads(lines[-1].removeprefix("data: "))
    assert kinds[-1] == "end" and set(kinds[:-1]) <= {"job"}
    assert last["id"] == id and last["state"] == "done"


def test_the_newest_jobs_come_first(client: TestClient, studio: Studio) -> None:
    for text in ("One.", "Two.", "Three."):
        answer = client.post("/api/jobs/speak", json={"text": text, "voice": "bob"})
        done(studio, answer.json()["id"])
    texts = [job["request"]["text"] for job in client.get("/api/jobs?limit=2").json()["jobs"]]
    assert texts == ["Three.", "Two."]
    refused(client.get("/api/jobs?limit=0"), 422)


def test_a_full_queue_is_answered_with_a_status_of_its_own(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.store.MAX_WAITING_JOBS", 0)
    told = refused(client.post("/api/jobs/speak", json={"text": "Hi.", "voice": "alice"}), 429)
    assert "the most that the queue takes" in told
    refused(client.post("/v1/audio/speech", json={"input": "Hi.", "voice": "alice"}), 429)
    results = studio.layout.results
    assert not results.exists() or [path for path in results.rglob("*") if path.is_file()] == []


def test_only_the_views_of_the_last_jobs_stay_in_memory(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.schemas.MAX_JOB_VIEWS", 3)
    body = {"text": "Hi.", "voice": "alice"}
    ids = [client.post("/api/jobs/speak", json=body).json()["id"] for _ in range(5)]
    for id in ids:
        done(studio, id)
        assert client.get(f"/api/jobs/{id}").json()["state"] == "done"
    kept = client.app.state.job_views  # type: ignore[attr-defined]
    assert list(kept) == ids[2:]
    assert len(client.get("/api/jobs").json()["jobs"]) == 5 and len(kept) == 3


def test_many_watchers_cost_one_view_of_each_state(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        body = {"text": f"Hi {number}.", "voice": "alice"}
        done(studio, client.post("/api/jobs/speak", json=body).json()["id"])
    made: list[str] = []
    real = ApiContext._make_job_view

    def make(self: ApiContext, job: Job) -> Any:
        made.append(job.state)
        return real(self, job)

    monkeypatch.setattr(ApiContext, "_make_job_view", make)
    first = client.get("/api/jobs").json()
    for _ in range(60):
        assert client.get("/api/jobs").json() == first
    assert len(made) <= 5

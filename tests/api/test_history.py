"""What was spoken, over HTTP: found, looked into, named, starred, deleted and had back."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from jobs.models import Job
from studio.app.studio import Studio
from support.api_helpers import done, refused


@pytest.fixture
def ref(client: TestClient, spoken: Job) -> str:
    """The name of the one clip there is."""
    found = client.get("/api/results").json()
    assert found["total"] == 1
    return str(found["results"][0]["ref"])


def test_clips_are_found_by_their_words(client: TestClient, ref: str) -> None:
    assert client.get("/api/results?search=evening").json()["total"] == 1
    assert client.get("/api/results?search=morning").json()["total"] == 0
    assert client.get("/api/results?voice=bob").json()["total"] == 0
    clip = client.get("/api/results?order=longest&count=1").json()["results"][0]
    assert clip["voice"] == "alice" and client.get(clip["url"]).status_code == 200


@pytest.mark.parametrize(
    "query", ["order=worst", "count=0", "count=1000", "start=-1", "x=1", "since=abc"]
)
def test_a_question_that_is_none_is_refused(client: TestClient, query: str) -> None:
    refused(client.get(f"/api/results?{query}"), 422)


@pytest.mark.parametrize("words", ['"', "'", "%", "_", "*", "a OR b", "); drop table files", "\\"])
def test_any_words_can_be_searched_for(client: TestClient, words: str) -> None:
    assert client.get("/api/results", params={"search": words}).status_code == 200


def test_a_clip_tells_how_it_was_spoken(client: TestClient, ref: str, spoken: Job) -> None:
    clip = client.get(f"/api/results/{ref}").json()
    assert clip["record"]["text"] == "Good evening." and clip["record"]["latents"] is None
    assert clip["record"]["seed"] == spoken.request["options"]["seed"]
    assert clip["parts"][0]["url"] == clip["url"]


def test_a_clip_is_starred_named_deleted_and_had_back(client: TestClient, ref: str) -> None:
    assert client.patch(f"/api/results/{ref}", json={"starred": True}).json()["starred"]
    named = client.patch(f"/api/results/{ref}", json={"name": "greeting"}).json()
    assert "greeting" in named["name"] and named["starred"]
    deletion = client.delete(f"/api/results/{named['ref']}").json()
    assert client.get("/api/results").json()["total"] == 0
    assert client.get(named["url"]).status_code == 404
    assert client.get("/api/results/bin").json()["deletions"] == [deletion]
    back = client.post(f"/api/results/bin/{deletion['id']}/restore").json()
    assert back == {"refs": [named["ref"]]}
    assert client.get(named["url"]).status_code == 200


@pytest.mark.parametrize("name", ["../x", "", "a/b", "con", "x" * 300, ".x"])
def test_a_clip_gets_no_hostile_name(client: TestClient, ref: str, name: str) -> None:
    refused(client.patch(f"/api/results/{ref}", json={"name": name}), 400)
    assert client.get("/api/results").json()["results"][0]["ref"] == ref


@pytest.mark.parametrize("ref", ["x.wav", "alice/x.wav", "%2e%2e/settings.yaml", "/etc/passwd"])
def test_an_unknown_clip_is_not_found(client: TestClient, ref: str) -> None:
    assert client.get(f"/api/results/{ref}").status_code == 404
    assert client.delete(f"/api/results/{ref}").status_code == 404
    assert client.patch(f"/api/results/{ref}", json={"name": "y"}).status_code == 404


def test_small_waveforms_and_subtitles_of_a_clip_are_served(client: TestClient, ref: str) -> None:
    path = client.get(f"/api/results/{ref}").json()["parts"][0]["url"].split("results/")[1]
    path = path.partition("?")[0]
    bars = client.get("/api/results/peaks", params={"path": [path, "../x"]}).json()["bars"]
    assert list(bars) == [path] and len(bars[path]) == 64
    refused(client.get("/api/results/peaks", params={"path": ["x"] * 101}), 422)
    subtitles = client.get(f"/api/results/subtitles/{ref}?format=vtt")
    assert subtitles.text.startswith("WEBVTT") and "Good evening." in subtitles.text
    assert "attachment" in subtitles.headers["content-disposition"]
    refused(client.get("/api/results/subtitles/none.wav"), 404)
    refused(client.get(f"/api/results/subtitles/{ref}?format=ass"), 422)
    assert client.get("/api/results?min_s=0.01&max_s=1000").json()["total"] == 1
    assert client.get("/api/results?min_s=1000").json()["total"] == 0


def test_words_are_asked_for_once_and_found_by_a_job(
    client: TestClient, studio: Studio, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = client.get(f"/api/results/words/{ref}").json()["lines"]
    assert [line["text"] for line in lines] == ["Good evening."] and lines[0]["words"] == []
    aligned = (0.0, 0.1, 0.1, 0.3)
    monkeypatch.setattr(
        "studio.workers.synthesis.word_times.align_text", lambda clip, text, models: aligned
    )
    job = client.post(f"/api/results/words/{ref}")
    assert job.status_code == 202 and job.json()["task"] == "locate_words"
    done(studio, job.json()["id"])
    (line,) = client.get(f"/api/results/words/{ref}").json()["lines"]
    assert line["words"] == [["Good", 0.0, 0.1], ["evening.", 0.1, 0.3]]
    vtt = client.get(f"/api/results/subtitles/{ref}?format=vtt&words=true").text
    assert "Good <00:00:00.100>evening." in vtt
    refused(client.get("/api/results/words/alice/none.wav"), 404)

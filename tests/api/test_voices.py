"""Voices over HTTP: clips that are sent, names that are checked, a bin with an undo."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from audio.encoders import encode_complete
from studio.app.studio import Studio
from support.api_helpers import done, refused, tone

CLIP = encode_complete((tone(2.0).wave.numpy() * 32_767).astype("int16"), "wav", 24_000)
HOSTILE = ["../x", "%2e%2e%2fx", "con", "a:b", "-rf", "x" * 200, ".hidden", "random", "a|b", "~x"]


def send(client: TestClient, voice: str, **files: bytes) -> Any:
    sent = [("files", (name.replace("_wav", ".wav"), data)) for name, data in files.items()]
    return client.post(f"/api/voices/{voice}/clips", files=sent)


def test_voices_and_their_clips_are_listed_and_heard(client: TestClient) -> None:
    voices = client.get("/api/voices").json()["voices"]
    assert [voice["name"] for voice in voices] == ["alice", "bob"]
    clip = voices[0]["clips"][0]
    heard = client.get(clip["url"])
    assert heard.headers["content-type"] == "audio/wav" and len(heard.content) == clip["bytes"]
    assert client.get("/api/voices/bob").json() == voices[1]


def test_clips_that_are_sent_become_a_voice(client: TestClient, studio: Studio, root: Path) -> None:
    answer = send(client, "carol", a_wav=CLIP, b_wav=CLIP)
    assert answer.status_code == 202
    assert done(studio, answer.json()["id"]).result == {"voice": "carol", "clips": 2}
    assert len(client.get("/api/voices/carol").json()["clips"]) == 2
    assert list((root / "state" / "uploads").iterdir()) == []


def test_what_is_no_sound_becomes_no_voice(client: TestClient, studio: Studio, root: Path) -> None:
    answer = send(client, "carol", a_wav=CLIP, b_wav=b"<script>alert(1)</script>")
    job = studio.wait(answer.json()["id"], 20)
    assert job.state == "failed" and job.failure and "b.wav" in job.failure.message
    assert not (root / "voices" / "carol").exists()
    assert list((root / "state" / "uploads").iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_cannot_be_a_voice_is_refused(
    client: TestClient, name: str, root: Path
) -> None:
    before = sorted(root.rglob("*"))
    answer = send(client, name, a_wav=CLIP)
    assert refused(answer, answer.status_code) and answer.status_code in (400, 404)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../../evil.wav", "/etc/x.wav", "a.exe", "wav", ".x.wav", "con.wav", "a\\b.wav", ""]
)
def test_a_name_that_cannot_be_a_clip_is_refused(client: TestClient, name: str, root: Path) -> None:
    before = sorted(root.rglob("*"))
    answer = client.post("/api/voices/carol/clips", files={"files": (name, io.BytesIO(CLIP))})
    assert answer.status_code in (400, 422) and refused(answer, answer.status_code)
    assert sorted(root.rglob("*")) == before


def test_an_empty_clip_and_twins_are_refused(client: TestClient, root: Path) -> None:
    assert "is empty" in refused(send(client, "carol", a_wav=b""), 400)
    assert "same name" in refused(send(client, "carol", a_wav=CLIP, A_wav=CLIP), 400)
    assert "1 to 200" in refused(
        client.post(
            "/api/voices/carol/clips",
            files=[("files", (f"{number}.wav", b"x")) for number in range(201)],
        ),
        400,
    )
    uploads = root / "state" / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


def test_a_voice_gets_another_name(client: TestClient, root: Path) -> None:
    assert client.patch("/api/voices/alice", json={"name": "Alice B"}).json()["name"] == "Alice B"
    assert (root / "voices" / "Alice B" / "one.wav").is_file()
    assert "already a voice" in refused(
        client.patch("/api/voices/bob", json={"name": "ALICE b"}), 409
    )
    assert client.patch("/api/voices/bob", json={"name": "Bob"}).status_code == 200
    for name in ("../x", "", "random", "con", "a/b"):
        refused(client.patch("/api/voices/Bob", json={"name": name}), 400)
    refused(client.patch("/api/voices/nobody", json={"name": "x"}), 404)
    refused(client.patch("/api/voices/Bob", json={"name": "x", "folder": "/"}), 422)


def test_a_deleted_voice_comes_back(client: TestClient, root: Path) -> None:
    clip = (root / "voices" / "alice" / "one.wav").read_bytes()
    deleted = client.delete("/api/voices/alice").json()
    assert [voice["name"] for voice in client.get("/api/voices").json()["voices"]] == ["bob"]
    assert client.get("/api/voices/bin").json()["voices"][0]["name"] == "alice"
    restored = client.post(f"/api/voices/bin/{deleted['id']}/restore")
    assert restored.json()["name"] == "alice"
    assert (root / "voices" / "alice" / "one.wav").read_bytes() == clip
    refused(client.post(f"/api/voices/bin/{deleted['id']}/restore"), 404)


def test_a_voice_comes_back_beside_one_that_took_its_name(client: TestClient) -> None:
    deleted = client.delete("/api/voices/alice").json()
    client.patch("/api/voices/bob", json={"name": "Alice"})
    back = client.post(f"/api/voices/bin/{deleted['id']}/restore").json()
    assert back["name"] == "alice 2" and len(back["clips"]) == 2


@pytest.mark.parametrize("id", ["..", "%2e%2e", "nothing", "x" * 300, "../alice"])
def test_only_what_is_in_the_bin_is_restored(client: TestClient, id: str) -> None:
    answer = client.post(f"/api/voices/bin/{id}/restore")
    assert answer.status_code in (404, 405)


@pytest.mark.parametrize("name", ["nobody", "%2e%2e", ".bin", "con", "x" * 300])
def test_an_unknown_voice_is_neither_shown_nor_deleted(client: TestClient, name: str) -> None:
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/api/voices/{name}").status_code in (404, 405)
    assert len(client.get("/api/voices").json()["voices"]) == 2


def test_tags_are_set_and_voices_found_by_them(client: TestClient) -> None:
    answer = client.put("/api/voices/bob/tags", json={"tags": ["calm", "deep, calm"]})
    assert answer.json()["tags"] == ["calm", "deep"]
    found = client.get("/api/voices", params={"search": "deep"}).json()["voices"]
    assert [voice["name"] for voice in found] == ["bob"] and found[0]["tags"] == ["calm", "deep"]
    assert "cannot be a tag" in refused(
        client.put("/api/voices/bob/tags", json={"tags": ["x" * 50]}), 400
    )
    refused(client.put("/api/voices/nobody/tags", json={"tags": []}), 404)
    refused(client.put("/api/voices/bob/tags", json={"tags": "calm"}), 422)


def test_effects_of_a_voice_are_set_spoken_and_removed(client: TestClient, studio: Studio) -> None:
    put = "/api/voices/bob/effects"
    answer = client.put(put, json={"preset": "deep", "options": {"reverb": 0.2}})
    chain = {"pitch": -3.0, "bass": 3.0, "reverb": 0.2}
    assert answer.json()["effects"] == chain
    job = client.post("/api/jobs/speak", json={"text": "One two.", "voice": "bob"}).json()
    assert job["request"]["voice_effects"] == {"bob": chain}
    done(studio, job["id"])
    assert "no effects 'tin'" in refused(client.put(put, json={"preset": "tin"}), 400)
    assert "pitch is 40" in refused(client.put(put, json={"options": {"pitch": 40}}), 400)
    refused(client.put("/api/voices/nobody/effects", json={}), 404)
    assert client.put(put, json={}).json()["effects"] == {}


def test_a_blend_becomes_a_voice(client: TestClient, studio: Studio) -> None:
    answer = client.post("/api/voices/carol/blend", json={"voice": "alice:0.7+bob:0.3"})
    assert answer.status_code == 202, answer.text
    assert done(studio, answer.json()["id"]).result == {"voice": "carol", "clips": 0}
    assert client.get("/api/voices/carol").json()["kept"] is True
    refused(client.post("/api/voices/carol/blend", json={"voice": "alice+bob"}), 409)
    refused(client.post("/api/voices/dora/blend", json={"voice": "alice+nobody"}), 400)


def test_a_consent_note_is_stated_and_shown(client: TestClient) -> None:
    assert client.get("/api/voices/bob").json()["consent"] is None
    body = {"basis": "own", "speaker": "Bob"}
    noted = client.put("/api/voices/bob/consent", json=body).json()["consent"]
    assert noted["speaker"] == "Bob" and noted["stated_on"]
    assert client.get("/api/voices").json()["voices"][1]["consent"] == noted
    refused(client.put("/api/voices/bob/consent", json={"basis": "mine"}), 400)
    refused(client.put("/api/voices/nobody/consent", json=body), 404)

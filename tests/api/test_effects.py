"""Effects are applied to a clip over HTTP, and the new clip is fetched."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from studio.app.studio import Studio
from support.api_helpers import done, refused


def test_a_clip_gets_effects_and_is_fetched(client: TestClient, studio: Studio, root: Path) -> None:
    clip = root / "results" / "alice" / "00001-hi.wav"
    clip.parent.mkdir(parents=True, exist_ok=True)
    clip.write_bytes((root / "voices" / "alice" / "one.wav").read_bytes())
    body = {"clip": "alice/00001-hi.wav", "preset": "hall"}
    answer = client.post("/api/jobs/effects", json=body)
    assert answer.status_code == 202
    done(studio, answer.json()["id"])
    job = client.get(f"/api/jobs/{answer.json()['id']}").json()
    assert job["result"]["path"] == "alice/00001-hi-hall.wav"
    assert client.get(job["result"]["url"]).content[:4] == b"RIFF"


def test_missing_clips_and_wrong_options_are_refused(client: TestClient, root: Path) -> None:
    clip = root / "results" / "alice" / "00001-hi.wav"
    clip.parent.mkdir(parents=True, exist_ok=True)
    clip.write_bytes((root / "voices" / "alice" / "one.wav").read_bytes())

    def ask(status: int, **body: object) -> str:
        body = {"clip": "alice/00001-hi.wav", **body}
        return refused(client.post("/api/jobs/effects", json=body), status)

    assert "There is no clip" in ask(404, clip="../voices/alice/one.wav", preset="hall")
    assert "no effects 'tin'" in ask(400, preset="tin")
    assert "No effect is turned on" in ask(400)
    assert "no option 'echo'" in ask(400, options={"echo": 1})
    assert "pitch is 40" in ask(400, options={"pitch": 40})

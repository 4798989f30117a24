"""A recording is uploaded, converted and fetched over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from studio.app.studio import Studio
from support.api_helpers import done, refused
from support.tiny_codec import make_codec_bundle, use_tiny_packages


def test_an_uploaded_recording_comes_back_in_another_voice(
    client: TestClient, studio: Studio, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny_packages(monkeypatch)
    make_codec_bundle(root / "models" / "tiny")
    sound = (root / "voices" / "alice" / "one.wav").read_bytes()
    files = {"file": ("../my clip.wav", sound, "audio/wav")}
    answer = client.post("/api/jobs/convert", files=files, data={"voice": "bob"})
    assert answer.status_code == 202
    done(studio, answer.json()["id"])
    job = client.get(f"/api/jobs/{answer.json()['id']}").json()
    assert job["result"]["path"] == "converted/my-clip-bob.wav"
    assert client.get(job["result"]["url"]).content[:4] == b"RIFF"


def test_a_missing_voice_or_file_and_a_wrong_option_are_refused(
    client: TestClient, root: Path
) -> None:
    sound = (root / "voices" / "alice" / "one.wav").read_bytes()
    files = {"file": ("a.wav", sound, "audio/wav")}

    def convert(**data: str) -> str:
        return refused(client.post("/api/jobs/convert", files=files, data=data), 400)

    assert "nobody" in convert(voice="nobody")
    assert "vocoder" in convert(voice="bob", vocoder="tape")
    files = {"file": ("empty.wav", b"", "audio/wav")}
    assert "is empty" in convert(voice="bob")
    assert client.post("/api/jobs/convert", data={"voice": "bob"}).status_code in (400, 422)

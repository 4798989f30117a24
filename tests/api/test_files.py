"""Clips over HTTP: whole or in ranges, only sound, and only from where it may come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from jobs.models import Job
from studio.history.waveform import MAX_PEAKS, Waveform, read_waveform
from studio.voices.catalog import AUDIO_SUFFIXES
from support.api_helpers import refused

ONE = "/api/files/voices/alice/one.wav"


def test_a_clip_comes_whole_or_in_part(client: TestClient, root: Path) -> None:
    data = (root / "voices" / "alice" / "one.wav").read_bytes()
    whole = client.get(ONE)
    assert whole.content == data and whole.headers["accept-ranges"] == "bytes"
    part = client.get(ONE, headers={"range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == data[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(data)}"
    assert client.get(ONE, headers={"range": "bytes=-10"}).content == data[-10:]
    assert client.get(ONE, headers={"range": f"bytes={len(data)}-"}).status_code == 416
    assert client.head(ONE).status_code in (200, 404, 405)


@pytest.mark.parametrize("suffix", AUDIO_SUFFIXES)
def test_clips_of_every_kind_that_a_voice_may_have_are_served(
    client: TestClient, root: Path, suffix: str
) -> None:
    (root / "voices" / "alice" / f"memo{suffix}").write_bytes(b"sound")
    answer = client.get(f"/api/files/voices/alice/memo{suffix}")
    assert answer.status_code == 200 and answer.content == b"sound"
    assert answer.headers["content-type"].startswith(("audio/", "video/"))


def test_a_clip_is_saved_under_its_own_name(client: TestClient, spoken: Job) -> None:
    url = client.get(f"/api/jobs/{spoken.id}").json()["result"]["url"]
    assert client.get(url).headers["content-disposition"].startswith("inline")
    saved = client.get(f"{url}?download=true").headers["content-disposition"]
    assert saved.startswith("attachment") and "00001-good-evening.wav" in saved


@pytest.mark.parametrize(
    "name",
    [
        *("../../settings.yaml", "%2e%2e/%2e%2e/settings.yaml", "..%2f..%2fsettings.yaml"),
        *("/etc/passwd", "%2fetc%2fpasswd", "alice/../../settings.yaml", "alice/..%5c..%5cx.wav"),
        *("alice", "alice/", "", ".", "alice/nothing.wav", "alice/one.wav/", "alice//one.wav"),
        *("alice/.cache/x.wav", "alice/secret.txt", "alice/link.wav", "linked/one.wav"),
        *("alice/one.wav%00.txt", "C:%5cwindows%5cx.wav", "file:///etc/passwd", "x" * 5000),
        *("alice/one%0awav", "alice/%ff.wav", "alice/http:%2f%2f127.0.0.1/x.wav", "CON/one.wav"),
    ],
)
def test_nothing_else_is_served(client: TestClient, root: Path, name: str) -> None:
    outside = root / "secret.wav"
    outside.write_bytes(b"secret")
    alice = root / "voices" / "alice"
    (alice / "secret.txt").write_text("secret")
    (alice / ".cache").mkdir(exist_ok=True)
    (alice / ".cache" / "x.wav").write_text("secret")
    (alice / "link.wav").symlink_to(outside)
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "one.wav").write_text("secret")
    (root / "voices" / "linked").symlink_to(root / "elsewhere")
    for kind in ("voices", "results"):
        answer = client.get(f"/api/files/{kind}/{name}")
        assert answer.status_code in (404, 503) and answer.content != b"secret"


@pytest.mark.parametrize("kind", ["models", "state", "..", "training"])
def test_only_results_and_voices_are_served(client: TestClient, kind: str) -> None:
    answer = client.get(f"/api/files/{kind}/starter/weights")
    assert answer.status_code in (404, 422)


def test_a_missing_clip_is_reported_in_words(client: TestClient) -> None:
    assert "There is no clip 'x.wav'" in refused(client.get("/api/files/results/x.wav"), 404)


def test_the_waveform_of_a_clip_is_its_peaks_and_its_duration(tmp_path: Path) -> None:
    rate = 8_000
    wave = np.zeros(2 * rate, dtype=np.float32)
    wave[rate:] = -0.5
    path = tmp_path / "clip.wav"
    soundfile.write(path, wave, rate)
    found = read_waveform(path)
    assert found.duration == 2.0 and len(found.peaks) <= MAX_PEAKS
    assert found.peaks[0] == 0.0 and found.peaks[-1] == 0.5
    (tmp_path / "clip.m4a").write_bytes(b"no sound")
    assert read_waveform(tmp_path / "clip.m4a") == Waveform()

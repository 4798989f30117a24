"""What training hears and speaks can be heard; the rest of its folder cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

HEARD = ("clara/audio/0001.wav", "clara/runs/first/samples/000100.wav")
KEPT = (
    "clara/train.txt",
    "clara/source.wav",
    "clara/audio/deeper/0001.wav",
    "clara/audio/link.wav",
    "clara/runs/first/state.wav",
    "clara/runs/first/checkpoints/gpt.wav",
    "%2e%2e/audio/0001.wav",
    "clara/audio/..%2f..%2fsource.wav",
)


@pytest.fixture
def training(root: Path) -> Path:
    """A data set with a run, sound in places of all kinds, and a link that leads out."""
    for name in (*HEARD, *KEPT[:3], *KEPT[4:6]):
        file = root / "training" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound of " + name.encode())
    (root / "elsewhere.wav").write_bytes(b"secret")
    (root / "training" / KEPT[3]).symlink_to(root / "elsewhere.wav")
    return root / "training"


@pytest.mark.parametrize("name", HEARD)
def test_clips_and_samples_are_served(client: TestClient, training: Path, name: str) -> None:
    answer = client.get(f"/api/files/training/{name}")
    assert answer.content == (training / name).read_bytes()
    assert answer.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize("name", KEPT)
def test_nothing_else_in_training_is_served(client: TestClient, training: Path, name: str) -> None:
    answer = client.get(f"/api/files/training/{name}")
    assert answer.status_code == 404 and b"sound of" not in answer.content

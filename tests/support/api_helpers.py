"""What the tests of the API share: a tone, waiting for jobs, and the shape of a refusal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from fastapi.testclient import TestClient

from audio.clip import Clip
from jobs.models import Job
from studio.app.studio import Studio

Serve = Callable[..., TestClient]


def tone(seconds: float = 1.0, level: float = 0.5, rate: int = 24_000) -> Clip:
    """A clip that every reader accepts."""
    at = torch.arange(round(seconds * rate)) / rate
    return Clip(wave=level * torch.sin(2 * torch.pi * 220 * at), sample_rate=rate)


def done(studio: Studio, id: str) -> Job:
    """Wait for a job; it has to come to its end."""
    job = studio.wait(id, 20)
    assert job.state == "done", job
    return job


def refused(answer: Any, status: int) -> str:
    """Check the shape of a refusal and return its sentence."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "cause", "type", "code"}
    assert error["message"].rstrip('")').endswith((".", "?"))
    assert "Traceback" not in answer.text
    return str(error["message"])


def until(happens: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something happens."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)

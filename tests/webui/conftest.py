"""A studio whose jobs run in a thread, with an engine that hums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from jobs.models import Job
from studio.app.studio import Studio
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.fake_engine import FakeEngine
from support.inline_worker import InlineStudio


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio with the voices Anna and vera and the bundle starter."""
    entry = ("support.fake_engine:FakeOptions", "support.fake_engine:FakeEngine")
    monkeypatch.setattr("engines.registry.ENGINES", {"tortoise": entry})
    tone = 0.5 * torch.sin(2 * torch.pi * 220 * torch.arange(24_000) / 24_000)
    for name in ("Anna", "vera"):
        folder = tmp_path / "voices" / name
        folder.mkdir(parents=True)
        write_clip(folder / "one.wav", Clip(wave=tone, sample_rate=24_000))
    (tmp_path / "models" / "starter").mkdir(parents=True)
    (tmp_path / "models" / "starter" / "weights").write_bytes(b"some numbers")
    FakeEngine.heard.clear()
    opened = InlineStudio.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def spoken(studio: Studio) -> Callable[..., Job]:
    """Speak a text to its end; returns the job."""

    def speak(text: str, **delivery: Any) -> Job:
        wish = SpeechRequestInput(text=text, voice="Anna", options={"seed": 5}, delivery=delivery)
        job = studio.submit(build_request(studio.settings, wish, studio.layout))
        return studio.wait(job.id, 30)

    return speak

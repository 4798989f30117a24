"""A served studio in a temporary folder: two voices, an engine that hums, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import AppConfig, create_app
from audio.io import write_clip
from jobs.models import Job
from studio.app.studio import Studio
from support.api_helpers import Serve, done, tone
from support.fake_engine import FakeEngine
from support.inline_worker import InlineStudio

APP = Path(__file__).resolve().parents[2] / "app.py"


@pytest.fixture(autouse=True)
def humming(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry knows the engine that hums, and any folder with a config speaks."""
    entry = ("support.fake_engine:FakeOptions", "support.fake_engine:FakeEngine")
    monkeypatch.setattr("engines.registry.ENGINES", {"tortoise": entry})
    monkeypatch.setattr("studio.model_store.bundles.find_missing_model_files", lambda folder: [])
    for calls in (FakeEngine.loads, FakeEngine.heard, FakeEngine.listened):
        calls.clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the voices alice and bob, and the bundle starter."""
    root = (tmp_path / "root").resolve()
    for name, level in (("alice", 0.2), ("bob", 0.6)):
        (root / "voices" / name).mkdir(parents=True)
        write_clip(root / "voices" / name / "one.wav", tone(level=level))
        write_clip(root / "voices" / name / "two.wav", tone(level=level / 2))
    bundle = root / "models" / "starter"
    bundle.mkdir(parents=True)
    (bundle / "weights").write_bytes(b"some numbers")
    (bundle / "config.json").write_text('{"about": "hums"}')
    return root


@pytest.fixture
def app(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """app.py as a module, for a studio of the test's own."""
    monkeypatch.setenv("TESTUDO_ROOT", str(root))
    spec = spec_from_file_location("testudo_app", APP)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def studio(root: Path) -> Iterator[Studio]:
    """The studio in that folder; its jobs run in a thread."""
    opened = InlineStudio.open(root)
    yield opened
    opened.close()


@pytest.fixture
def serve(studio: Studio) -> Iterator[Serve]:
    """Serve the studio; everything of `AppConfig` can be said."""
    clients: list[TestClient] = []

    def open_client(**serving: Any) -> TestClient:
        app = create_app(studio, replace(AppConfig(), **serving))
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        clients.append(client.__enter__())
        return clients[-1]

    yield open_client
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """A client of a studio that asks for nothing."""
    return serve()


@pytest.fixture
def spoken(client: TestClient, studio: Studio) -> Job:
    """A job that is done."""
    answer = client.post("/api/jobs/speak", json={"text": "Good evening.", "voice": "alice"})
    assert answer.status_code == 202, answer.text
    return done(studio, answer.json()["id"])

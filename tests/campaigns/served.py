"""A studio with an engine that hums, served to a client in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

import engines.registry
from api.app import AppConfig, create_app
from studio.app.studio import Studio
from studio.model_store import bundles
from support.inline_worker import InlineStudio
from support.studio_fixtures import write_studio


def write_served_studio(root: Path) -> Path:
    """Write a root with voices alice and bob, and the bundle starter."""
    write_studio(root)
    (root / "models" / "starter" / "config.json").write_text('{"about": "hums"}')
    return root


@contextmanager
def open_app(root: Path, **serving: Any) -> Iterator[tuple[FastAPI, Studio]]:
    """Open the studio at a root, for the rest of this process with the engine that hums."""
    entry = ("support.fake_engine:FakeOptions", "support.fake_engine:FakeEngine")
    engines.registry.ENGINES = {"tortoise": entry}
    bundles.find_missing_model_files = lambda folder: []
    studio = InlineStudio.open(root)
    try:
        yield create_app(studio, replace(AppConfig(), **serving)), studio
    finally:
        studio.close()


@contextmanager
def open_client(root: Path, **serving: Any) -> Iterator[tuple[TestClient, Studio]]:
    """Open the studio at a root and a client for it."""
    with open_app(root, **serving) as (app, studio):
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        with client:
            yield client, studio

"""Bundles, settings and the machine over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from studio.app.studio import Studio
from studio.diagnostics.system_info import TorchInfo
from support.api_helpers import refused


def test_bundles_are_listed_and_one_is_shown(client: TestClient) -> None:
    listed = client.get("/api/models").json()["models"]
    assert [bundle["name"] for bundle in listed] == ["starter"] and listed[0]["speaks"]
    assert client.get("/api/models/starter").json() == listed[0]


@pytest.mark.parametrize("name", ["nothing", "finetunes/nothing", "%2e%2e", "a/b/c", "con"])
def test_an_unknown_bundle_is_not_found(client: TestClient, name: str, root: Path) -> None:
    before = sorted(root.rglob("*"))
    for method in ("GET", "DELETE"):
        refused(client.request(method, f"/api/models/{name}"), 404)
    refused(client.post("/api/models/verify", json={"name": name}), 404)
    assert [path for path in before if not path.exists()] == []


def test_a_bundle_is_deleted_and_had_back(client: TestClient, root: Path) -> None:
    (root / "models" / "other").mkdir()
    (root / "models" / "other" / "config.json").write_text("{}")
    deleted = client.delete("/api/models/other").json()
    assert not (root / "models" / "other").exists()
    binned = client.get("/api/models/bin").json()["models"]
    assert [item["id"] for item in binned] == [deleted["id"]]
    assert client.delete("/api/models/starter").status_code == 400
    back = client.post(f"/api/models/bin/{deleted['id']}/restore").json()
    assert back["name"] == "other" and (root / "models" / "other").is_dir()
    refused(client.post("/api/models/bin/nothing/restore"), 404)


def test_a_bundle_is_checked_as_a_job(client: TestClient, studio: Studio) -> None:
    job = client.post("/api/models/verify", json={"name": "starter"})
    assert job.status_code == 202 and job.json()["task"] == "verify_model"
    assert studio.wait(job.json()["id"], 30).is_over


def test_nothing_is_fetched_where_only_local_models_are_wanted(
    client: TestClient, studio: Studio
) -> None:
    studio.settings = replace(studio.settings, offline=True)
    told = refused(client.post("/api/models/download", json={}), 400)
    assert "Only Load Models Locally is on" in told
    refused(client.post("/api/models/download", json={"name": "http://evil.com"}), 422)


def test_memory_is_freed_when_asked(client: TestClient) -> None:
    assert client.post("/api/models/unload").json() == {"unloaded": True}


def test_each_setting_says_where_it_comes_from(client: TestClient, root: Path) -> None:
    (root / "settings.yaml").write_text("volume: 1.5\n")
    settings = {item["name"]: item for item in client.get("/api/settings").json()["settings"]}
    assert settings["volume"]["source"] == "settings.yaml"
    assert settings["listen"]["source"] == "default" and settings["listen"]["restart"]
    assert settings["format"]["choices"] and settings["low_vram"]["type"] == "boolean"
    assert not any("password" in name or "key" in name for name in settings)


def test_the_doctor_tells_no_paths(
    client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "studio.diagnostics.system_info.probe_torch",
        lambda: TorchInfo(torch="2.0", torchaudio="2.0"),
    )
    told = client.get("/api/system")
    assert told.json()["facts"]["Python"] and told.json()["findings"]
    assert str(root) not in told.text and "Traceback" not in told.text

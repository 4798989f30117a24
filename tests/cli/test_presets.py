"""testudo presets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import main
from core.paths import ProjectPaths
from studio.settings.presets import Preset, read_presets, save_preset


def test_presets_are_listed_exported_imported_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    layout = ProjectPaths.from_root(tmp_path)
    assert main(["presets", "list"]) == 0 and "No presets" in capsys.readouterr().out
    save_preset(layout, "Book", Preset(engine="tortoise", options={"temperature": 0.4}))
    assert main(["presets", "default", "alice", "Book"]) == 0
    file = str(tmp_path / "presets-for-you.yaml")
    assert main(["presets", "export", file]) == 0
    assert main(["presets", "import", file]) == 0
    assert main(["presets", "delete", "Book"]) == 0
    capsys.readouterr()
    assert main(["presets", "list", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["presets"]) == ["Book (2)"]
    assert read_presets(layout).voices == {}
    assert main(["presets", "delete", "Book"]) == 2

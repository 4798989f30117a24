"""`testudo backup`: create and restore."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import main


def test_a_backup_is_created_and_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    clip = tmp_path / "one" / "voices" / "alice" / "one.wav"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"RIFF")
    archive = str(tmp_path / "backup.zip")
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path / "one"))
    assert main(["backup", "create", archive, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 1
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path / "two"))
    assert main(["backup", "restore", archive]) == 0
    assert "1 file restored" in capsys.readouterr().out
    assert (tmp_path / "two" / "voices" / "alice" / "one.wav").read_bytes() == b"RIFF"

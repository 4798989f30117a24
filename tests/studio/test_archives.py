"""A studio is backed up in one file and restored in a fresh folder; nothing is overwritten."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.archives.backup import MANIFEST, create_backup, restore_backup
from studio.archives.disk_usage import clean_folders, measure_disk_usage
from studio.archives.voice_zip import export_voice, import_voice_zip

FILES = {
    "settings.yaml": b"threads: 1\n",
    "state/stars.json": b"[]",
    "voices/alice/one.wav": b"RIFF one",
    "voices/alice/consent.json": b"{}",
    "models/finetunes/alice/gpt.safetensors": b"weights",
    "results/alice/00001-hello.wav": b"RIFF clip",
    "results/alice/00001-hello.lines/lines.json": b"{}",
}


@pytest.fixture
def full(tmp_path: Path) -> ProjectPaths:
    for name, data in FILES.items():
        path = tmp_path / "full" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "full" / "voices" / "alice" / "link.wav").symlink_to("/etc/passwd")
    (tmp_path / "full" / "results" / ".half.part").write_bytes(b"half")
    return ProjectPaths.from_root(tmp_path / "full")


@pytest.fixture
def fresh(tmp_path: Path) -> ProjectPaths:
    (tmp_path / "fresh").mkdir()
    return ProjectPaths.from_root(tmp_path / "fresh")


def test_a_backup_is_restored_in_a_fresh_folder_byte_for_byte(
    full: ProjectPaths, fresh: ProjectPaths, tmp_path: Path
) -> None:
    archive = tmp_path / "studio.zip"
    assert create_backup(full, archive, ProgressReporter()) == len(FILES)
    done = restore_backup(fresh, archive, ProgressReporter())
    assert (done.restored, done.kept) == (len(FILES), 0)
    found = {
        path.relative_to(fresh.root).as_posix(): path.read_bytes()
        for path in fresh.root.rglob("*")
        if path.is_file()
    }
    assert found == FILES


def test_what_is_there_already_is_kept(
    full: ProjectPaths, fresh: ProjectPaths, tmp_path: Path
) -> None:
    archive = tmp_path / "studio.zip"
    create_backup(full, archive, ProgressReporter())
    fresh.settings_file.write_text("threads: 4\n")
    assert restore_backup(fresh, archive, ProgressReporter()).kept == 1
    assert fresh.settings_file.read_text() == "threads: 4\n"


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "voices/../../evil", "voices/.hidden", "state/journal.sqlite", "a\\b"],
)
def test_a_backup_that_leads_elsewhere_is_refused_and_writes_nothing(
    name: str, fresh: ProjectPaths, tmp_path: Path
) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(MANIFEST, json.dumps({"format": 1, "created": "now"}))
        file.writestr("voices/alice/one.wav", b"RIFF")
        file.writestr(name, b"evil")
    with pytest.raises(AppError, match="no file of a studio"):
        restore_backup(fresh, archive, ProgressReporter())
    assert list(fresh.root.rglob("*")) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "not a zip file"),
        ({}, "not a backup"),
        ({MANIFEST: "{"}, "damaged"),
        ({MANIFEST: '{"format": 9, "created": "now"}'}, "format 9"),
    ],
)
def test_what_is_no_backup_is_refused(
    content: dict[str, str] | None, told: str, fresh: ProjectPaths, tmp_path: Path
) -> None:
    archive = tmp_path / "odd.zip"
    if content is None:
        archive.write_bytes(b"no zip")
    else:
        with zipfile.ZipFile(archive, "w") as file:
            for name, text in content.items():
                file.writestr(name, text)
    with pytest.raises(AppError, match=told):
        restore_backup(fresh, archive, ProgressReporter())


def test_space_is_measured_and_only_copies_are_cleaned(full: ProjectPaths) -> None:
    full.exports.mkdir(parents=True)
    (full.exports / "testudo.zip").write_bytes(b"x" * 1000)
    rows = {row.name: row for row in measure_disk_usage(full)}
    assert rows["Exported zip files"].bytes == 1000 and rows["Voices"].files == 3
    assert clean_folders(full) == 1000
    assert all((full.root / name).read_bytes() == data for name, data in FILES.items())


def test_a_voice_travels_in_one_file(full: ProjectPaths, fresh: ProjectPaths) -> None:
    (full.voices / "alice" / "old.pth").write_bytes(b"pickle")
    (full.voices / "alice" / "one.txt").write_text("One.")
    path = export_voice(full, "alice", full.exports)
    assert path.name == "alice.voice.zip"
    voice = import_voice_zip(fresh, path)
    assert voice.name == "alice" and [clip.read_bytes() for clip in voice.clips] == [b"RIFF one"]
    assert (voice.folder / "one.txt").read_text() == "One."
    assert not (voice.folder / "old.pth").exists()  # a pickle is never taken along
    assert import_voice_zip(fresh, path, "bob").name == "bob"
    with pytest.raises(AppError, match="already a voice"):
        import_voice_zip(fresh, path)


@pytest.mark.parametrize(
    ("name", "told"),
    [("../evil.wav", "not a valid"), ("run.pth", "no part of a voice"), ("a.txt", "no clips")],
)
def test_a_file_with_anything_but_a_voice_is_refused(
    name: str, told: str, fresh: ProjectPaths, tmp_path: Path
) -> None:
    archive = tmp_path / "evil.voice.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("testudo-voice.json", json.dumps({"format": 1, "name": "eve"}))
        file.writestr(name, b"evil")
    with pytest.raises(AppError, match=told):
        import_voice_zip(fresh, archive)
    assert not fresh.voices.exists() or list(fresh.voices.iterdir()) == []

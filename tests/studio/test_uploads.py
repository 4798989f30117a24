"""Recordings that come with their words: the transcripts lie beside the clips of the voice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import to_dict
from jobs.models import Job
from jobs.store import JobStore
from studio.voices.uploads import (
    MAX_UPLOAD_CLIPS,
    UPLOAD_RETENTION_S,
    ImportVoiceRequest,
    create_upload_dir,
    delete_stale_uploads,
)
from studio.workers.create_voice import import_voice


def files_in(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name.endswith(".wav"):
            tone = 0.3 * torch.sin(torch.arange(24_000) / 20)
            write_clip(folder / name, Clip(wave=tone, sample_rate=24_000))
        else:
            (folder / name).write_text("What is said.", encoding="utf-8")
    return [folder / name for name in names]


def test_transcripts_lie_beside_the_clips_of_a_new_voice(tmp_path: Path) -> None:
    files = files_in(tmp_path / "mine", "one.wav", "one.txt", "metadata.csv")
    voice = import_voice("nora", files, ProjectPaths.from_root(tmp_path), ProgressReporter())
    assert [clip.name for clip in voice.clips] == ["one.wav"]
    assert (voice.folder / "one.txt").read_text(encoding="utf-8") == "What is said."
    assert sorted(path.name for path in voice.folder.iterdir()) == [
        *("metadata.csv", "one.txt", "one.wav")
    ]


def test_transcripts_alone_are_no_voice_and_leave_no_folder(tmp_path: Path) -> None:
    files = files_in(tmp_path / "mine", "one.txt")
    with pytest.raises(AppError, match="only transcripts"):
        import_voice("nora", files, ProjectPaths.from_root(tmp_path), ProgressReporter())
    assert not (tmp_path / "voices" / "nora").exists()
    with pytest.raises(AppError, match="0 clips were sent"):
        create_upload_dir(ProjectPaths.from_root(tmp_path), "nora", ["one.txt"])


def test_only_clips_count_against_how_many_may_be_sent(tmp_path: Path) -> None:
    names = [f"{number}.{kind}" for number in range(MAX_UPLOAD_CLIPS) for kind in ("wav", "txt")]
    assert create_upload_dir(ProjectPaths.from_root(tmp_path), "nora", names).is_dir()
    with pytest.raises(AppError, match="send 1 to 200"):
        create_upload_dir(ProjectPaths.from_root(tmp_path), "nora", [*names, "more.wav"])


def stale_upload(layout: ProjectPaths, name: str) -> Path:
    """Make an upload folder that arrived two days ago."""
    folder = layout.state / "uploads" / name
    folder.mkdir(parents=True)
    (folder / "one.wav").write_bytes(b"sound")
    os.utime(folder, (time.time() - 2 * UPLOAD_RETENTION_S,) * 2)
    return folder


def test_a_sweep_goes_on_when_another_sweep_deletes_the_same_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    stale, gone = stale_upload(layout, "aa"), layout.state / "uploads" / "bb"
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([gone, stale]))
    delete_stale_uploads(layout)
    assert not stale.exists()


def test_clips_of_a_job_that_still_waits_are_kept_however_old(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    waiting, dropped, ended, unused = (
        stale_upload(layout, name) for name in ("aa", "bb", "cc", "dd")
    )
    store = JobStore.open(layout.jobs_db)
    for id, request in (
        ("1", to_dict(ImportVoiceRequest(name="nora", folder=str(waiting)))),
        ("2", {"clip": f"uploads/{dropped.name}/one.wav"}),
        ("3", to_dict(ImportVoiceRequest(name="nora", folder=str(ended)))),
    ):
        job = Job(id=id, task="import", request=request, title="", state="waiting", created=0.0)
        store.add(job)
    store.mark_ended("3", "done")
    delete_stale_uploads(layout)
    assert waiting.is_dir() and dropped.is_dir() and not ended.exists() and not unused.exists()


def test_uploads_are_kept_where_the_list_of_jobs_cannot_be_read(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    stale = stale_upload(layout, "aa")
    layout.jobs_db.write_bytes(b"not a database" * 100)
    delete_stale_uploads(layout)
    assert stale.is_dir()

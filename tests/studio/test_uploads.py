"""Recordings that come with their words: the transcripts lie beside the clips of the voice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.voices.uploads import MAX_UPLOAD_CLIPS, create_upload_dir
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
    with pytest.raises(AppError, match="transcripts alone"):
        import_voice("nora", files, ProjectPaths.from_root(tmp_path), ProgressReporter())
    assert not (tmp_path / "voices" / "nora").exists()
    with pytest.raises(AppError, match="0 clips were sent"):
        create_upload_dir(ProjectPaths.from_root(tmp_path), "nora", ["one.txt"])


def test_only_clips_count_against_how_many_may_be_sent(tmp_path: Path) -> None:
    names = [f"{number}.{kind}" for number in range(MAX_UPLOAD_CLIPS) for kind in ("wav", "txt")]
    assert create_upload_dir(ProjectPaths.from_root(tmp_path), "nora", names).is_dir()
    with pytest.raises(AppError, match="send 1 to 200"):
        create_upload_dir(ProjectPaths.from_root(tmp_path), "nora", [*names, "more.wav"])

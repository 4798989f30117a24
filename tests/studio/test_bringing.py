"""Recordings that come with their words: the transcripts lie beside the clips of the voice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jobs.report import Reporter
from speech.clip import Clip
from speech.files import write_clip
from studio.bringing import MOST_CLIPS, waiting_folder
from studio.errors import StudioError
from studio.layout import Layout
from studio.tasks.newcomers import import_voice


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
    voice = import_voice("nora", files, Layout.at(tmp_path), Reporter())
    assert [clip.name for clip in voice.clips] == ["one.wav"]
    assert (voice.folder / "one.txt").read_text(encoding="utf-8") == "What is said."
    assert sorted(path.name for path in voice.folder.iterdir()) == [
        *("metadata.csv", "one.txt", "one.wav")
    ]


def test_transcripts_alone_are_no_voice_and_leave_no_folder(tmp_path: Path) -> None:
    files = files_in(tmp_path / "mine", "one.txt")
    with pytest.raises(StudioError, match="transcripts alone"):
        import_voice("nora", files, Layout.at(tmp_path), Reporter())
    assert not (tmp_path / "voices" / "nora").exists()
    with pytest.raises(StudioError, match="0 clips were sent"):
        waiting_folder(Layout.at(tmp_path), "nora", ["one.txt"])


def test_only_clips_count_against_how_many_may_be_sent(tmp_path: Path) -> None:
    names = [f"{number}.{kind}" for number in range(MOST_CLIPS) for kind in ("wav", "txt")]
    assert waiting_folder(Layout.at(tmp_path), "nora", names).is_dir()
    with pytest.raises(StudioError, match="send 1 to 200"):
        waiting_folder(Layout.at(tmp_path), "nora", [*names, "more.wav"])

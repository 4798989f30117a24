"""What the program makes and people keep is nothing that git would take along."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from studio.folder_bin import BIN as VOICES_BIN
from studio.layout import Layout
from studio.models import BIN as MODELS_BIN

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (REPOSITORY / ".git").exists(),
    reason="this is no checkout of git",
)


def ignored(*paths: Path) -> set[Path]:
    """Return those of the paths that git would leave alone."""
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", *map(str, paths)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    return {Path(line) for line in asked.stdout.splitlines()}


def test_git_leaves_alone_what_the_program_makes() -> None:
    layout = Layout.at(REPOSITORY)
    shipped = layout.voice("clara")
    made = {
        layout.voice("my-own") / "recording.flac",
        layout.voice("microphone") / "recording.flac",
        layout.voices / VOICES_BIN / "20260101" / "clip.flac",
        layout.models / MODELS_BIN / "20260101" / "gpt.safetensors",
        layout.bundle("finetunes/my-own") / "gpt.safetensors",
        layout.bundle("tortoise") / "gpt.safetensors",
        *(folder / "latents.safetensors" for folder in layout.caches_of(shipped)),
        layout.results_of("clara") / "00001-hello.wav",
        layout.dataset("mine") / "audio" / "1.wav",
        layout.journal,
        layout.exports / "testudo.zip",
        layout.settings_file,
        layout.root / "settings.yaml.old",  # where the doctor says to move it
    }
    assert ignored(*made) == made


def test_git_takes_along_every_file_of_the_voices_that_are_shipped() -> None:
    voices = Layout.at(REPOSITORY).voices
    tracked = subprocess.run(
        ["git", "ls-files", "voices"], cwd=REPOSITORY, capture_output=True, text=True
    ).stdout.split()
    shipped = {REPOSITORY / name for name in tracked}
    assert ignored(*shipped, voices / "clara" / "5.flac") == set()

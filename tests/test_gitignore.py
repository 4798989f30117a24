"""What the program makes and people keep is nothing that git would take along."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from core.paths import ProjectPaths
from core.trash import TRASH_DIR

REPOSITORY = Path(__file__).resolve().parents[1]

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
    layout = ProjectPaths.from_root(REPOSITORY)
    shipped = layout.voice("clara")
    made = {
        layout.voice("my-own") / "recording.flac",
        layout.voice("microphone") / "recording.flac",
        layout.voices / TRASH_DIR / "20260101" / "clip.flac",
        layout.models / TRASH_DIR / "20260101" / "gpt.safetensors",
        layout.model("finetunes/my-own") / "gpt.safetensors",
        layout.model("tortoise") / "gpt.safetensors",
        *(folder / "latents.safetensors" for folder in layout.latents_cache_dirs(shipped)),
        layout.voice_results("clara") / "00001-hello.wav",
        layout.dataset("mine") / "audio" / "1.wav",
        layout.encoder_run("mine") / "encoder.pt",
        layout.encoder_dataset("mine") / "dataset.json",
        layout.root / "mlflow.db",
        layout.jobs_db,
        layout.exports / "testudo.zip",
        layout.settings_file,
        layout.root / "settings.yaml.old",  # where the doctor says to move it
    }
    assert ignored(*made) == made


def test_git_takes_along_every_file_of_the_voices_that_are_shipped() -> None:
    voices = ProjectPaths.from_root(REPOSITORY).voices
    tracked = subprocess.run(
        ["git", "ls-files", "voices"], cwd=REPOSITORY, capture_output=True, text=True
    ).stdout.split()
    shipped = {REPOSITORY / name for name in tracked}
    assert ignored(*shipped, voices / "clara" / "5.flac") == set()


def test_git_tracks_one_readme_in_every_folder_that_the_program_fills() -> None:
    layout = ProjectPaths.from_root(REPOSITORY)
    readmes = [folder / "README.md" for folder in (layout.results, layout.training, layout.voices)]
    assert ignored(*readmes) == set()
    assert all(readme.is_file() for readme in readmes)
    inside = (layout.results / "clara" / "README.md", layout.training / "mine" / "README.md")
    assert ignored(*inside) == set(inside)

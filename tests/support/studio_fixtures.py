"""A studio in a temporary folder, with two voices and an engine that hums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.paths import ProjectPaths
from engines.registry import ENGINES
from studio.voices.consent import ConsentNote, write_consent
from support.fake_engine import FakeEngine

REAL_ENGINES = ENGINES


def tone(seconds: float = 1.0, level: float = 0.5, rate: int = 24_000) -> Clip:
    """A clip that every reader accepts."""
    time = torch.arange(round(seconds * rate)) / rate
    return Clip(wave=level * torch.sin(2 * torch.pi * 220 * time), sample_rate=rate)


def write_studio(root: Path) -> Path:
    """Write a root with voices alice and bob, and the bundle starter."""
    for name, level in (("alice", 0.2), ("bob", 0.6)):
        folder = root / "voices" / name
        folder.mkdir(parents=True)
        write_clip(folder / "one.wav", tone(level=level))
        write_clip(folder / "two.wav", tone(level=level / 2))
        write_consent(folder, ConsentNote(basis="synthetic", stated_on="2026-01-31"))
    (root / "models" / "starter").mkdir(parents=True)
    (root / "models" / "starter" / "weights").write_bytes(b"some numbers")
    return root


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectPaths:
    """A root with voices alice and bob, and the bundle starter."""
    root = write_studio(tmp_path / "root")
    monkeypatch.setenv("TESTUDO_ROOT", str(root))
    return ProjectPaths.from_root(root.resolve())


@pytest.fixture
def real_engines() -> Mapping[str, tuple[str, str]]:
    """What the registry holds outside of tests."""
    return REAL_ENGINES


@pytest.fixture(autouse=True)
def humming(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry knows the engine that hums, under the usual name."""
    entry = ("support.fake_engine:FakeOptions", "support.fake_engine:FakeEngine")
    monkeypatch.setattr("engines.registry.ENGINES", {"tortoise": entry})
    for calls in (FakeEngine.loads, FakeEngine.heard, FakeEngine.listened):
        calls.clear()


@pytest.fixture
def testudo(
    layout: ProjectPaths, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the program: exit code, standard output, standard error."""
    from cli.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run

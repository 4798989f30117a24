"""testudo demo: at once, in a dialogue, with an installed model and with files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cli.main import main
from engines.safetensors_io import read_tensors
from support.tiny_sv2tts import make_tiny_sv2tts


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(size=48_000) * 0.1
    soundfile.write(tmp_path / "voice.wav", noise.clip(-1, 1), 16_000)
    return tmp_path / "voice.wav"


def limit_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained networks never end by themselves."""
    monkeypatch.setattr(
        "sv2tts.generation.options.Sv2ttsOptions.advised",
        lambda weights: {"max_seconds": 1.0, "retakes": 0, "vocoder": "griffin_lim"},
    )


def test_a_demo_speaks_with_an_installed_model_and_the_seed_repeats_it(
    root: Path, voice: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_sv2tts(root / "models" / "tiny")
    limit_length(monkeypatch)
    arguments = ["demo", str(voice), "--text", "Hello.", "--seed", "3", "--cpu", "--json"]
    paths = []
    for _ in range(2):
        assert main(arguments) == 0
        paths.append(Path(json.loads(capsys.readouterr().out)["path"]))
    assert [path.name for path in paths] == ["demo_output_00.wav", "demo_output_01.wav"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_demo_takes_the_files_of_the_original(
    root: Path, voice: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_tiny_sv2tts(root / "elsewhere")
    for name in ("encoder", "synthesizer", "vocoder"):
        weights = read_tensors(model / f"{name}.safetensors")
        torch.save({"model_state": weights}, root / f"{name}.pt")
    limit_length(monkeypatch)
    files = ["-e", "encoder.pt", "-s", "synthesizer.pt", "--voc_model_fpath", "vocoder.pt"]
    files += ["--out-dir", "new/folder"]
    assert main(["demo", str(voice), "--text", "Hello.", "--no_sound", *files]) == 0
    assert "new/folder/demo_output_00.wav: " in capsys.readouterr().out


def test_the_dialogue_tells_what_failed_and_goes_on(
    root: Path, voice: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_sv2tts(root / "models" / "tiny")
    limit_length(monkeypatch)
    answers = io.StringIO(f"nothing.wav\nHello.\n{voice}\nHello.\n\n")
    monkeypatch.setattr(answers, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", answers)
    assert main(["demo", "--no_sound", "--cpu"]) == 0
    shown = capsys.readouterr().out
    assert "nothing.wav" in shown and "demo_output_00.wav: " in shown


def test_without_a_model_or_a_recording_the_demo_says_what_to_give(
    root: Path, voice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", str(voice), "--text", "Hello."]) == 2
    assert "testudo models import" in capsys.readouterr().err
    assert main(["demo", "--text", "Hello."]) == 2
    assert "Give a recording" in capsys.readouterr().err
    assert main(["demo", str(voice), "-e", "encoder.pt"]) == 2
    assert "--syn_model_fpath" in capsys.readouterr().err

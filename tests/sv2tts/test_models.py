"""Models of SV2TTS in the studio: imported, listed, verified, and spoken with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cli.main import main
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.registry import get_engine_class
from studio.model_store.bundles import (
    import_model_folder,
    list_models,
    summarize_model,
    verify_model_files,
)
from studio.schemas.settings import Settings
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.tiny_sv2tts import make_tiny_sv2tts
from sv2tts.checkpoints import read_config
from sv2tts.modules.tacotron import Tacotron
from sv2tts.modules.wavernn import WaveRNN


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectPaths:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    (tmp_path / "voices" / "ann").mkdir(parents=True)
    return ProjectPaths.from_root(tmp_path)


def save_published_files(folder: Path, model: Path) -> None:
    """Write the three files as Real-Time Voice Cloning publishes them, from a model folder."""
    from safetensors.torch import load_file

    folder.mkdir()
    for name in ("encoder", "synthesizer", "vocoder"):
        weights = load_file(model / f"{name}.safetensors")
        torch.save({"model_state": weights}, folder / f"{name}.pt")


def test_published_files_become_a_model_of_the_engine(layout: ProjectPaths, tmp_path: Path) -> None:
    model = make_tiny_sv2tts(tmp_path / "tiny")
    save_published_files(tmp_path / "published", model)
    made = import_model_folder(layout, tmp_path / "published", ProgressReporter(), "rtvc")
    assert made.engine == "sv2tts" and made.speaks
    assert [one.name for one in list_models(layout)] == ["rtvc"]
    config = read_config(layout.model("rtvc"))
    assert config.synthesizer == read_config(model).synthesizer
    assert isinstance(Tacotron(config.synthesizer), Tacotron) and config.vocoder is not None
    assert WaveRNN(config.vocoder).config.mode == "RAW"
    engine = get_engine_class("sv2tts").load(layout.model("rtvc"), torch.device("cpu"))
    assert engine.weights_id == made.weights_id


def test_a_damaged_import_leaves_nothing(layout: ProjectPaths, tmp_path: Path) -> None:
    save_published_files(tmp_path / "published", make_tiny_sv2tts(tmp_path / "tiny"))
    (tmp_path / "published" / "vocoder.pt").write_bytes(b"no weights")
    assert main(["models", "import", str(tmp_path / "published"), "--name", "rtvc"]) == 2
    assert list_models(layout) == []


def test_a_model_is_verified(layout: ProjectPaths) -> None:
    folder = make_tiny_sv2tts(layout.model("rtvc"))
    assert verify_model_files(layout, "rtvc", ProgressReporter()).good
    path = folder / "synthesizer.safetensors"
    content = bytearray(path.read_bytes())
    content[-8:] = bytes(8)
    path.write_bytes(content)
    checked = verify_model_files(layout, "rtvc", ProgressReporter())
    assert [check.file for check in checked.checks if not check.good] == [path.name]
    path.unlink()
    assert not summarize_model(layout, "rtvc").speaks


def test_the_engine_of_a_request_is_that_of_its_model(layout: ProjectPaths) -> None:
    make_tiny_sv2tts(layout.model("rtvc"))
    given = SpeechRequestInput(
        text="Hello.", voice="ann", preset="standard", request_fields={"bundle": "rtvc"}
    )
    request = build_request(Settings(), given, layout)
    assert request.engine == "sv2tts"
    assert request.options["retakes"] == 4
    config = json.loads((layout.model("rtvc") / "config.json").read_text("utf-8"))
    assert config["engine"] == "sv2tts"

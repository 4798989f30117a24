"""Published SV2TTS files become a model folder; their keys and shapes are the published ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from engines.model_files import ModelFileError
from speakers.modules.ge2e import GE2EEncoder
from sv2tts import checkpoints
from sv2tts.modules.tacotron import Tacotron, TacotronConfig
from sv2tts.modules.tacotron2 import Tacotron2, Tacotron2Config
from sv2tts.modules.wavernn import WaveRNN, WaveRNNConfig
from tests.support.sv2tts_cases import FOLDER

MANIFEST = FOLDER / "manifest.json"


@pytest.mark.skipif(not MANIFEST.is_file(), reason="SV2TTS_GOLDEN_DIR has no manifest.json")
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("encoder.pt", GE2EEncoder),
        ("synthesizer.pt", lambda: Tacotron(TacotronConfig())),
        ("vocoder.pt", lambda: WaveRNN(WaveRNNConfig())),
        ("peewee_tacotron2", lambda: Tacotron2(Tacotron2Config())),
    ],
)
def test_the_default_network_has_the_published_keys_and_shapes(
    name: str, build: Callable[[], nn.Module]
) -> None:
    published = json.loads(MANIFEST.read_text("utf-8"))[name]["state_dict"]
    with torch.device("meta"):
        network = build()
    ours = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert ours == {key: value["shape"] for key, value in published.items()}


def save_published(folder: Path, wrapped: bool = True, mode: str = "RAW") -> None:
    vocoder = WaveRNN(replace(WaveRNNConfig.tiny(), mode=mode))
    synthesizer = Tacotron(TacotronConfig.tiny())
    synthesizer.r = 2
    networks = {
        "encoder": GE2EEncoder(40, 16, 256, 2),
        "synthesizer": synthesizer,
        "vocoder": vocoder,
    }
    for name, network in networks.items():
        state = network.state_dict()
        content = {"model_state": state, "optimizer_state": {}} if wrapped else state
        torch.save(content, folder / f"{name}.pt", _use_new_zipfile_serialization=wrapped)


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("mode", ["RAW", "MOL"])
def test_published_files_are_imported(tmp_path: Path, wrapped: bool, mode: str) -> None:
    source, folder = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    save_published(source, wrapped, mode)
    config = checkpoints.import_published(source, folder, about="tiny")
    assert checkpoints.read_config(folder) == config
    assert config.synthesizer == TacotronConfig.tiny()
    assert config.vocoder == replace(WaveRNNConfig.tiny(), mode=mode)
    cpu = torch.device("cpu")
    assert checkpoints.load_synthesizer(folder, config, cpu).r == 2
    published = torch.load(source / "vocoder.pt", weights_only=True)
    weights = published["model_state"] if wrapped else published
    loaded = checkpoints.load_vocoder(folder, config, cpu).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


def test_a_model_without_a_vocoder_is_imported(tmp_path: Path) -> None:
    source, folder = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    save_published(source)
    (source / "vocoder.pt").unlink()
    config = checkpoints.import_published(source, folder)
    with pytest.raises(ModelFileError, match="has no vocoder"):
        checkpoints.load_vocoder(folder, config, torch.device("cpu"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("cut", "damaged or truncated"),
        ("missing", "There is no file"),
        ("other", "lack"),
        ("list", "holds no weights"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, damage: str, message: str) -> None:
    save_published(tmp_path)
    path = tmp_path / "synthesizer.pt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "missing":
        path.unlink()
    else:
        torch.save([1] if damage == "list" else {"a": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match=message):
        checkpoints.import_published(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()

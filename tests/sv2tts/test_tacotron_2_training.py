"""Pee Wee's Tacotron 2: resumed training, and the MLflow entry point with its encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from core.progress import ProgressReporter
from runs.state import load_state
from speakers.modules.checkpoints import EncoderCheckpoint, save_checkpoint
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.ge2e import GE2EEncoder
from sv2tts.data.preprocessing import SAMPLE_RATE, PreprocessOptions, preprocess
from sv2tts.data.sources import find_sources
from sv2tts.data.train_list import EMBEDS_DIR, read_train_list
from sv2tts.training.config import TACOTRON_2_FILE, Tacotron2TrainConfig, write_config
from sv2tts.training.trainer import train

NETWORK = {
    "embedding_size": 8, "speaker_embedding_size": 4, "num_layers": [1, 2, 2],
    "lstm_hidden_size": 6, "prenet_hidden_size": 8, "encoder_lstm_hidden_size": 8,
    "location_hidden_dim": 8, "location_n_filters": 4, "location_kernel_size": 7,
    "decoder_lstm_hidden_size": 8, "postnet_embedding_dim": 8,
}  # fmt: skip
CONFIG = Tacotron2TrainConfig(
    steps=4, batch_size=2, validation_share=0.25, eval_every=2, save_every=2, vis_every=1,
    network=NETWORK,
)  # fmt: skip


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech") / "ann"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        wave = random.normal(size=SAMPLE_RATE * 2 + 900 * number) * 0.1
        soundfile.write(folder / f"{number}.wav", wave, SAMPLE_RATE)
        (folder / f"{number}.txt").write_text(f"line {number} of text", "utf-8")
    return folder.parent


@pytest.fixture(scope="module")
def dataset(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    sources, _ = find_sources(speech, "folders", ())
    preprocess(sources, folder, PreprocessOptions(trim=False), ProgressReporter())
    (folder / EMBEDS_DIR).mkdir(exist_ok=True)
    for item in read_train_list(folder):
        np.save(folder / EMBEDS_DIR / item.embed, np.ones(4, np.float32) / 2)
    return folder


def test_a_stopped_training_ends_with_the_same_weights(tmp_path: Path, dataset: Path) -> None:
    for name in ("whole", "parted"):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name / TACOTRON_2_FILE, CONFIG)
    assert train(tmp_path / "whole", dataset, ProgressReporter()).state == "done"
    assert (tmp_path / "whole" / "plots" / "attention_step_4.png").is_file()
    steps = iter(range(100))
    report = ProgressReporter(stopped=lambda: next(steps) >= 2)
    assert train(tmp_path / "parted", dataset, report).state == "stopped"
    assert train(tmp_path / "parted", dataset, ProgressReporter()).state == "done"
    first, second = load_state(tmp_path / "whole"), load_state(tmp_path / "parted")
    assert first is not None and second is not None
    for name, value in first["task"]["model"].items():
        assert torch.equal(value, second["task"]["model"][name]), name


def test_the_rate_falls_tenfold_an_epoch_after_its_start() -> None:
    config = replace(CONFIG, batch_size=64, decay_after=10, learning_rate=1e-3)
    assert config.compute_rate(9, 128) == 1e-3
    assert config.compute_rate(12, 128) == pytest.approx(1e-4)
    assert config.compute_rate(14, 128) == pytest.approx(1e-5)


def test_the_entry_point_pulls_the_registered_encoder_and_logs_the_run(
    tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    from speakers.tracking.registry import log_encoder
    from sv2tts.tracking.train_tacotron_2 import main

    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    network = GE2EEncoder(40, 8, 6, 1)
    features = FeatureConfig(trim_silence=False)
    checkpoint = EncoderCheckpoint(model=network, kind="ge2e", features=features)
    save_checkpoint(tmp_path / "encoder.pt", checkpoint)
    with mlflow.start_run():
        log_encoder(tmp_path / "encoder.pt", "Test_Encoder")
    content = {
        "data": {"source": str(speech), "dataset": "tiny", "layout": "folders", "trim": False},
        "training": {
            "steps": 2, "batch_size": 2, "eval_every": 2, "vis_every": 1, "validation_share": 0.25,
            "network": NETWORK,
        },
        "tracking": {"encoder": "Test_Encoder", "experiment": "tiny"},
    }  # fmt: skip
    (tmp_path / "config.yml").write_text(yaml.safe_dump(content), "utf-8")
    assert main(["--config-path", str(tmp_path / "config.yml"), "--save-model", "true"]) == 0
    (run,) = mlflow.search_runs(experiment_names=["tiny"]).to_dict("records")
    assert run["params.tracking_encoder"] == "Test_Encoder" and run["metrics.loss"] > 0
    files = mlflow.artifacts.list_artifacts(run_id=run["run_id"], artifact_path="model")
    assert [file.path for file in files] == ["model/tacotron_2.safetensors"]
    assert main(["--config-path", str(tmp_path / "none.yml")]) == 1

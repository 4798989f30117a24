"""Training runs: losses fall, files appear, a killed run resumes exactly, stop and restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import AppError, InvalidValueError
from core.progress import ProgressReporter
from jobs.detached import STOP_FILE, request_stop, wait_for_exit
from runs.event_log_reader import EventLogReader
from runs.events import EVENTS_FILE
from runs.launch import read_training_status
from runs.program import restart_run
from runs.state import STATE_FILE
from speakers.dataset import get_feature_path
from speakers.embedding import load_encoder
from speakers.modules.checkpoints import EncoderFileError, load_checkpoint
from speakers.modules.feature_config import FeatureConfig
from speakers.training.config import (
    CONFIG_FILE,
    EncoderTrainConfig,
    read_encoder_config,
    write_encoder_config,
)
from speakers.training.launch import start_training
from speakers.training.trainer import main, train_encoder
from support.speaker_datasets import write_tone_dataset

TINY = EncoderTrainConfig(
    hidden=12, embedding=6, layers=1, steps=40, speakers_per_batch=4, utterances_per_speaker=3,
    crop_frames=16, min_crop_frames=10, mask_bins=4, learning_rate=0.01, lr_schedule="cosine",
    validation_share=0.25, val_iters=2, train_iters=10, vis_every=1, umap_every=0, save_every=7,
    backup_every=20, device="cpu",
)  # fmt: skip
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from core.progress import ProgressReporter
from speakers.training.trainer import train_encoder
torch.set_num_threads(1)
def kill(event):
    if event.kind == "step" and event.done == 24:
        os.kill(os.getpid(), signal.SIGKILL)
train_encoder(Path(sys.argv[1]), Path(sys.argv[2]), ProgressReporter(kill))
"""


def train(run: Path, dataset: Path, config: EncoderTrainConfig = TINY) -> str:
    run.mkdir(parents=True, exist_ok=True)
    write_encoder_config(run / CONFIG_FILE, config)
    result = train_encoder(run, dataset, ProgressReporter())
    return f"{result.state} {result.cause} {result.message}"


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(path).model.state_dict())


def curve(run: Path, name: str) -> list[float]:
    return [value for _, value in EventLogReader(run / EVENTS_FILE).read().points["encoder", name]]


@pytest.mark.parametrize("kind", ["ge2e", "singer", "peewee"])
def test_every_kind_learns_and_its_encoder_can_be_loaded(tmp_path: Path, kind: str) -> None:
    data, run = tmp_path / "data", tmp_path / "models" / "english"
    write_tone_dataset(data)
    config = replace(TINY, kind=kind, min_crop_frames=0, mask_bins=0)
    if kind == "singer":
        config = replace(config, class_head=True, loss="both")
    assert train(run, data, config).startswith("done")
    losses = curve(run, "loss")
    assert len(losses) == 40 and sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert len(curve(run, "validation")) == 4 and len(curve(run, "validation_eer")) == 4
    if kind == "singer":
        assert curve(run, "accuracy")[-1] > curve(run, "accuracy")[0]
        assert sum(curve(run, "prediction")[-5:]) < sum(curve(run, "prediction")[:5])
    names = {path.name for path in run.iterdir()}
    assert names >= {"encoder.pt", "saved_model.pt", "encoder_000020.bak", "ckpt_40.ckpt"}
    assert names >= {"encoder.yaml", "model.txt", "inputs", "events.jsonl"}
    assert len(list((run / "inputs").glob("*.npy"))) == 4
    encoder = load_encoder(run)
    assert encoder.kind == kind and encoder.name == "english" and encoder.embedding_size == 6
    wrapper = torch.load(run / "encoder.pt", weights_only=True)
    assert {"step", "model_state", "optimizer_state"} <= set(wrapper) and wrapper["step"] == 41


def test_a_run_that_was_killed_ends_with_the_same_weights(tmp_path: Path) -> None:
    data, whole, cut = tmp_path / "data", tmp_path / "whole", tmp_path / "cut"
    write_tone_dataset(data)
    assert train(whole, data).startswith("done")
    cut.mkdir()
    write_encoder_config(cut / CONFIG_FILE, TINY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(cut), str(data)], env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert torch.load(cut / STATE_FILE, weights_only=True)["step"] == 21
    assert train(cut, data).startswith("done")
    for name in ("encoder.pt", "saved_model.pt", "encoder_000020.bak"):
        expected, found = weights_of(whole / name), weights_of(cut / name)
        assert all(torch.equal(expected[key], found[key]) for key in expected), name
    assert curve(cut, "loss") == curve(whole, "loss")
    assert curve(cut, "validation") == curve(whole, "validation")


def test_a_stop_file_saves_and_a_restart_forgets(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_tone_dataset(data)
    run.mkdir()
    (run / STOP_FILE).touch()
    assert train(run, data).startswith("stopped asked")
    assert (run / "encoder.pt").exists() and (run / STATE_FILE).exists()
    (run / STOP_FILE).unlink()
    assert train(run, data).startswith("done")
    restart_run(run)
    assert not (run / STATE_FILE).exists() and (run / "encoder_000020.bak").exists()
    assert main([str(run), "--dataset", str(data), "--force-restart"]) == 0
    assert len(curve(run, "loss")) == 40


def test_it_ends_early_where_validation_does_not_improve(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_tone_dataset(data)
    config = replace(TINY, patience=2, threshold=10.0, train_iters=5)
    assert "stopped early" in train(run, data, config)
    assert len(curve(run, "validation")) == 3  # the first is the lowest, then two without gain


def test_a_loss_that_is_no_number_ends_the_run_with_a_reason(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    for speaker in write_tone_dataset(data).speakers:
        path = get_feature_path(data, speaker.files[0])
        np.save(path, np.full((20, 40), np.nan, np.float32))
    assert train(run, data).startswith("failed diverged")
    assert not (run / "encoder.pt").exists()


def test_an_encoder_is_finetuned_without_its_class_head(tmp_path: Path) -> None:
    data, first, second = tmp_path / "data", tmp_path / "first", tmp_path / "second"
    write_tone_dataset(data)
    config = replace(TINY, kind="singer", class_head=True, loss="both", steps=3)
    train(first, data, config)
    fewer = tmp_path / "fewer"
    write_tone_dataset(fewer, speakers=6)
    start = str(first / "encoder.pt")
    assert train(second, fewer, replace(config, steps=1, start_from=start)).startswith("done")
    wide = replace(config, hidden=20, start_from=start)
    assert "no encoder of this size" in train(tmp_path / "wide", fewer, wide)


def test_a_dataset_that_changed_does_not_resume(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_tone_dataset(data)
    train(run, data, replace(TINY, steps=3))
    write_tone_dataset(data, speakers=12)
    assert "failed refused" in train(run, data)


def test_options_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="class_head"):
        EncoderTrainConfig(loss="both")
    with pytest.raises(InvalidValueError, match="two or more of each speaker"):
        EncoderTrainConfig(utterances_per_speaker=1)
    with pytest.raises(InvalidValueError, match="at most crop_frames"):
        EncoderTrainConfig(min_crop_frames=200)
    (tmp_path / CONFIG_FILE).write_text("kind: singer\nsteps: 5\n")
    config = read_encoder_config(tmp_path / CONFIG_FILE)
    assert (config.hidden, config.steps, config.loss) == (768, 5, "both")
    write_encoder_config(tmp_path / CONFIG_FILE, config)
    assert read_encoder_config(tmp_path / CONFIG_FILE) == config


def test_a_detached_training_is_watched_and_stopped(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_tone_dataset(data)
    with pytest.raises(AppError, match=r"no encoder\.yaml"):
        start_training(run, data)
    start_training(run, data, replace(TINY, steps=1_000_000, save_every=1_000))
    with pytest.raises(AppError, match="already running"):
        start_training(run, data)
    reader = EventLogReader(run / EVENTS_FILE)
    while (status := read_training_status(run, reader)).step < 3 and status.state != "failed":
        assert status.state in ("waiting", "running")
        time.sleep(0.02)
    assert status.eta_s is not None and status.steps == 1_000_000 and status.curves["loss"]
    request_stop(run)
    assert wait_for_exit(run, 60)
    assert read_training_status(run).state == "stopped"


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"model_state": {"a": torch.zeros(2)}}, tmp_path / "a.pt")
    torch.save([1], tmp_path / "b.pt")
    (tmp_path / "c.pt").write_bytes(b"PK nothing")
    for name, why in (("a", "no speaker encoder"), ("b", "no weights"), ("c", "damaged")):
        with pytest.raises(EncoderFileError, match=why):
            load_checkpoint(tmp_path / f"{name}.pt")
    with pytest.raises(EncoderFileError, match="There is no encoder file"):
        load_encoder(tmp_path / "missing.pt")
    with pytest.raises(EncoderFileError, match=r"holds no encoder\.pt"):
        load_encoder(tmp_path)


def test_autovc_checkpoints_and_bare_weights_load(tmp_path: Path) -> None:
    from speakers.modules.singer import SingerEncoder

    known = SingerEncoder(bins=80, hidden=768, embedding=4, layers=1)
    weights = {name: v for name, v in known.state_dict().items() if "similarity" not in name}
    remapped = {f"module.{name.replace('linear', 'embedding')}": v for name, v in weights.items()}
    torch.save({"model_b": remapped}, tmp_path / "autovc.ckpt")
    torch.save(known.state_dict(), tmp_path / "bare.pt", _use_new_zipfile_serialization=False)
    for name in ("autovc.ckpt", "bare.pt"):
        found = load_checkpoint(tmp_path / name)
        assert found.kind == "singer" and found.features.kind == "singer_mel"
        assert torch.equal(found.model.state_dict()["linear.weight"], weights["linear.weight"])
    features = FeatureConfig(kind="singer_mel", pitch_condition=True)
    assert features.bins == 127

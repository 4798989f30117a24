"""Train Pee Wee's Tacotron 2 as an MLflow run; the entry point `train_tacotron_2` of MLproject.

    python -m sv2tts.tracking.train_tacotron_2 --config-path config/tacotron_2_dev.yml

The speaker encoder is pulled from the model registry by the name in the configuration. The run
holds every option as a parameter and the curves as metrics, CSV files and pictures; with
--save-model true also the weights, as safetensors. Runs are stored where MLFLOW_TRACKING_URI says,
by default in mlflow.db and mlruns/ of the current folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import torch

from core.errors import AppError, InvalidValueError
from core.paths import get_project_paths
from core.progress import ProgressReporter
from core.serialization import ValidationError, from_dict, to_dict
from core.yaml_io import read_yaml
from engines.safetensors_io import save_tensors
from runs.events import EVENTS_FILE
from speakers.embedding import Encoder, load_encoder
from speakers.tracking.config import REGISTERED_NAME
from speakers.tracking.registry import pull_encoder
from speakers.tracking.train_encoder import log_event, log_run_files, parse_flag
from sv2tts.data.preprocessing import PreprocessOptions, embed_dataset, preprocess
from sv2tts.data.sources import find_sources
from sv2tts.training.config import TACOTRON_2_FILE, Tacotron2TrainConfig, write_config
from sv2tts.training.tacotron2_task import TACOTRON_2_WEIGHTS
from sv2tts.training.trainer import train

WEIGHTS = "tacotron_2.safetensors"

# Any: YAML values.


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizerDataConfig:
    """Where the recordings and their texts are, and the name of the dataset that is made of them.

    source: a folder, relative to the folder that the training is started in; layout, trim: as for
    `testudo synthesizer preprocess`.
    """

    source: str
    dataset: str
    layout: str = "auto"
    trim: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizerTrackingConfig:
    """encoder: the registered model, models:/NAME/VERSION, or a file; experiment: its name."""

    encoder: str = REGISTERED_NAME
    experiment: str = "tacotron_2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedTacotron2Config:
    """All sections of a configuration."""

    data: SynthesizerDataConfig
    training: Tacotron2TrainConfig = field(default_factory=Tacotron2TrainConfig)
    tracking: SynthesizerTrackingConfig = field(default_factory=SynthesizerTrackingConfig)


def read_tracked_config(path: Path) -> TrackedTacotron2Config:
    """Read a configuration.  Raises AppError for a file or an option that cannot be used."""
    try:
        content: Any = read_yaml(path)
        return from_dict(TrackedTacotron2Config, content if isinstance(content, dict) else {})
    except (ValueError, ValidationError) as error:
        raise AppError(f"{path}: {error}", code="bad_settings") from error


def run_tracked_training(
    config: TrackedTacotron2Config, save_model: bool, report: ProgressReporter
) -> str:
    """Preprocess, embed, train and log; return the id of the MLflow run.

    Raises AppError where the training fails; the run is then marked as failed.
    """
    layout = get_project_paths()
    if "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` has chosen the experiment already
        mlflow.set_experiment(config.tracking.experiment)
    encoder = _find_encoder(config.tracking.encoder)
    with mlflow.start_run() as active:
        mlflow.log_params(_list_parameters(config))
        dataset = layout.training / "sv2tts" / "datasets" / config.data.dataset
        utterances = _prepare(config.data, dataset, encoder, report)
        mlflow.log_params({"dataset_utterances": utterances, "encoder_step": encoder.step})
        run = layout.training / "sv2tts" / "runs" / f"mlflow-{active.info.run_id[:12]}"
        run.mkdir(parents=True, exist_ok=True)
        sizes = {
            **(config.training.network or {}),
            "speaker_embedding_size": encoder.embedding_size,
        }
        training = from_dict(Tacotron2TrainConfig, {**to_dict(config.training), "network": sizes})
        write_config(run / TACOTRON_2_FILE, training)
        result = train(run, dataset, ProgressReporter(log_event))
        log_run_files(run, (TACOTRON_2_FILE, EVENTS_FILE))
        if (run / "plots").is_dir():
            mlflow.log_artifacts(str(run / "plots"), "plots")
        if result.state == "failed":
            raise AppError(result.message)
        if save_model:
            _log_weights(run)
        return str(active.info.run_id)


def _find_encoder(name: str) -> Encoder:
    path = Path(name)
    return load_encoder(path) if path.is_file() else pull_encoder(name)


def _prepare(
    config: SynthesizerDataConfig, folder: Path, encoder: Encoder, report: ProgressReporter
) -> int:
    """Make the dataset and its embeddings; returns the number of utterances."""
    sources, _ = find_sources(Path(config.source), config.layout, ())
    made = preprocess(sources, folder, PreprocessOptions(trim=config.trim), report)
    embed_dataset(folder, encoder.embed_wave, report)
    return len(made.items)


def _list_parameters(config: TrackedTacotron2Config) -> dict[str, Any]:
    return {
        f"{section}_{name}": value
        for section, options in to_dict(config).items()
        for name, value in options.items()
    }


def _log_weights(run: Path) -> None:
    content = torch.load(run / TACOTRON_2_WEIGHTS, map_location="cpu", weights_only=True)
    with TemporaryDirectory() as folder:
        path = Path(folder) / WEIGHTS
        save_tensors(path, content["model_state"])
        mlflow.log_artifact(str(path), "model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one tracked training from the command line; return 0 where it was done."""
    cli = argparse.ArgumentParser(prog="sv2tts.tracking.train_tacotron_2", description=__doc__)
    cli.add_argument("--config-path", type=Path, required=True)
    cli.add_argument("--save-model", default="false", metavar="true|false")
    parsed = cli.parse_args(arguments)
    try:
        save_model = parse_flag(parsed.save_model)
        config = read_tracked_config(parsed.config_path)
        run = run_tracked_training(config, save_model, ProgressReporter())
    except (AppError, InvalidValueError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"MLflow run {run} is finished.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

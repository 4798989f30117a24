"""Train a speaker encoder as an MLflow run; the entry point `train_encoder` of MLproject.

    python -m speakers.tracking.train_encoder --config-path config/speaker_recog_encoder_dev.yml

The run holds every option as a parameter, the curves as metrics, CSV files and pictures, the
evaluation on all speakers, and, with --save-model true, the encoder as a model. Runs are stored
where MLFLOW_TRACKING_URI says, by default in mlflow.db and mlruns/ of the current folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import pandas as pd

from core.errors import AppError
from core.paths import get_project_paths
from core.progress import ProgressEvent, ProgressReporter
from runs.event_log_reader import EventLogReader
from runs.events import EVENTS_FILE
from speakers.data.preprocess import LEFT_OUT_FILE, preprocess
from speakers.embedding import load_encoder
from speakers.evaluation.embedding import embed_dataset
from speakers.evaluation.plots import plot_curves, plot_det, plot_projection
from speakers.evaluation.projection import MIN_POINTS, project
from speakers.evaluation.table import build_speaker_table, write_speaker_table
from speakers.evaluation.verification import make_trials, verify_speakers
from speakers.tracking.config import TrackedTrainingConfig, list_parameters, read_tracked_config
from speakers.tracking.registry import log_encoder
from speakers.training.config import CONFIG_FILE, write_encoder_config
from speakers.training.run_files import BEST_FILE, ENCODER_FILE, INPUTS_DIR, NETWORK_FILE
from speakers.training.trainer import train_encoder

METRIC_EVENTS = ("step", "validation")
NOT_METRICS = ("kind", "time", "step", "stage")
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0", "")


def run_tracked_training(
    config: TrackedTrainingConfig, save_model: bool, report: ProgressReporter
) -> str:
    """Preprocess, train, evaluate and log; return the id of the MLflow run.

    Raises AppError where the training fails; the run is then marked as failed.
    """
    layout = get_project_paths()
    dataset = layout.encoder_dataset(config.data.dataset)
    if "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` has chosen the experiment already
        mlflow.set_experiment(config.tracking.experiment)
    with mlflow.start_run() as active:
        mlflow.log_params(list_parameters(config))
        made = preprocess(
            [Path(source) for source in config.data.sources],
            dataset,
            config.features,
            config.preprocess,
            config.augmentation,
            report,
        )
        mlflow.log_params(
            {"dataset_speakers": made.speakers, "dataset_recordings": made.recordings}
        )
        mlflow.log_artifact(str(dataset / LEFT_OUT_FILE), "dataset")
        run = layout.encoder_run(f"mlflow-{active.info.run_id[:12]}")
        run.mkdir(parents=True, exist_ok=True)
        write_encoder_config(run / CONFIG_FILE, config.training)
        result = train_encoder(run, dataset, ProgressReporter(log_event))
        log_run_files(run, (CONFIG_FILE, NETWORK_FILE, EVENTS_FILE))
        if result.state == "failed":
            raise AppError(result.message)
        checkpoint = next(
            path for name in (BEST_FILE, ENCODER_FILE) if (path := run / name).exists()
        )
        _log_evaluation(checkpoint, dataset, report)
        if save_model:
            uri = log_encoder(checkpoint, config.tracking.registered_model)
            mlflow.set_tag("model_uri", uri)
        return str(active.info.run_id)


def log_event(event: ProgressEvent) -> None:
    """Log the metrics of an event of the training."""
    if event.kind in METRIC_EVENTS:
        prefix = "validation_" if event.kind == "validation" else ""
        values = {
            f"{prefix}{name}": float(value)
            for name, value in event.data.items()
            if name not in NOT_METRICS and isinstance(value, (int, float))
        }
        mlflow.log_metrics(values, step=int(event.data.get("step", 0)))


def log_run_files(run: Path, names: Sequence[str]) -> None:
    """Log files of a run, its input examples, and every curve as CSV and picture."""
    for name in names:
        if (run / name).is_file():
            mlflow.log_artifact(str(run / name))
    if (run / INPUTS_DIR).is_dir():
        mlflow.log_artifacts(str(run / INPUTS_DIR), INPUTS_DIR)
    with TemporaryDirectory() as folder:
        for (_, name), points in EventLogReader(run / EVENTS_FILE).read().points.items():
            if points:
                path = Path(folder) / f"{name}.csv"
                pd.DataFrame(points, columns=["step", name]).to_csv(path, index=False)
                plot_curves({name: points}, name, path.with_suffix(".png"), ylabel=name)
        mlflow.log_artifacts(folder, "curves")


def _log_evaluation(checkpoint: Path, dataset: Path, report: ProgressReporter) -> None:
    """Log the table of speakers, the equal error rate with its DET curve, and t-SNE."""
    encoder = load_encoder(checkpoint)
    utterances, _ = embed_dataset(encoder, dataset, report)
    trials = make_trials(utterances.embeddings, utterances.speakers)
    measured = verify_speakers(trials)
    mlflow.log_metrics({"dataset_eer": measured.eer, "dataset_threshold": measured.threshold})
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_speaker_table(build_speaker_table(utterances), folder / "speakers.csv")
        plot_det(trials, measured, encoder.name, folder / "det.png")
        if len(utterances.speakers) >= MIN_POINTS:
            points = project(utterances.embeddings, "tsne")
            plot_projection(
                points, utterances.speakers, utterances.genders, "t-SNE", folder / "tsne.png"
            )
        mlflow.log_artifacts(name, "evaluation")


def parse_flag(text: str) -> bool:
    """Return a parameter of MLproject as true or false.  Raises AppError for another word."""
    word = text.strip().lower()
    if word not in TRUE + FALSE:
        raise AppError(f"save_model is {text!r}; it must be true or false.", code="bad_request")
    return word in TRUE


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; return 0, or 1 where that failed."""
    parser = argparse.ArgumentParser(description="Train a speaker encoder as an MLflow run.")
    parser.add_argument("--config-path", type=Path, required=True)
    parser.add_argument("--save-model", default="false", help="true: log and register the encoder")
    parsed = parser.parse_args(arguments)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    report = ProgressReporter(_print_message)
    try:
        save_model = parse_flag(parsed.save_model)
        run = run_tracked_training(read_tracked_config(parsed.config_path), save_model, report)
    except (AppError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"MLflow run {run} is finished.\n")
    return 0


def _print_message(event: ProgressEvent) -> None:
    if event.kind in ("note", "warning"):
        sys.stderr.write(f"{event.message}\n")


if __name__ == "__main__":
    sys.exit(main())

"""Trainings as MLflow runs: what a run holds, the logged model, the registry, the entry point."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from pytest import approx

from audio.io import read_clip
from core.errors import AppError
from speakers.embedding import embed_clip, load_encoder
from speakers.tracking.config import list_parameters, read_tracked_config
from support.audio_helpers import VOICES

mlflow = pytest.importorskip("mlflow")
ROOT = Path(__file__).resolve().parents[2]
NAME = "Test_Embedding"
CLIP = VOICES / "iris" / "3.flac"
CONFIG = """
data: {sources: [%s], dataset: tiny}
features: {kind: ge2e_mel}
training: {steps: 4, hidden: 8, embedding: 6, layers: 1, speakers_per_batch: 2,
  utterances_per_speaker: 2, train_iters: 2, val_iters: 1, vis_every: 1, validation_share: 0.5,
  umap_every: 0}
tracking: {registered_model: %s}
"""
IN_A_FRESH_PROCESS = """
import base64, json, sys
import mlflow
from fastapi.testclient import TestClient
from mlflow.pyfunc.scoring_server import init
from pathlib import Path

model = mlflow.pyfunc.load_model(sys.argv[1])
audio = base64.b64encode(Path(sys.argv[2]).read_bytes()).decode()
reply = TestClient(init(model)).post(
    "/invocations", json={"dataframe_split": {"columns": ["audio"], "data": [[audio]]}}
)
places = [
    str(getattr(module, "__file__", "")) for name, module in sys.modules.items()
    if name.split(".")[0] in ("core", "audio", "speakers", "runs", "jobs", "engines", "studio")
]
sys.stdout.write(json.dumps({"reply": reply.json(), "places": places}))
"""


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A training that `mlflow run` has done."""

    folder: Path
    environment: dict[str, str]
    uri: str
    run: object  # MLflow has no types

    @property
    def encoder(self) -> Path:
        (run,) = (self.folder / "root" / "encoders" / "runs").iterdir()
        return run / "saved_model.pt"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "root").mkdir()
    for voice in ("clara", "felix", "vera", "angus"):
        shutil.copytree(VOICES / voice, folder / "voices" / voice)
    (folder / "config.yml").write_text(CONFIG % (folder / "voices", NAME))
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    changes = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "src"),
        "TESTUDO_ROOT": str(folder / "root"),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ARTIFACT_ROOT": str(folder / "artifacts"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("tiny", (folder / "artifacts").as_uri())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setenv(name, value)
        mlflow.projects.run(  # what the program `mlflow run` calls
            str(ROOT),
            "train_encoder",
            parameters={"config_path": str(folder / "config.yml"), "save_model": "true"},
            experiment_id=experiment,
            env_manager="local",
        )
    (run,) = mlflow.MlflowClient().search_runs([experiment])
    yield Tracked(folder=folder, environment={**os.environ, **changes}, uri=uri, run=run)
    mlflow.set_tracking_uri(before)


def test_a_run_holds_parameters_metrics_and_artifacts(tracked: Tracked) -> None:
    run = mlflow.get_run(tracked.run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["training_hidden"] == "8" and run.data.params["features_kind"]
    assert run.data.params["dataset_speakers"] == "4"
    assert {"loss", "ge2e", "validation_loss", "dataset_eer"} <= run.data.metrics.keys()
    steps = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in steps] == [1, 2, 3, 4]
    artifacts = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id))
    written = {path.relative_to(artifacts).as_posix() for path in artifacts.rglob("*")}
    assert {
        *("encoder.yaml", "model.txt", "events.jsonl", "inputs/0.npy", "dataset/left_out.csv"),
        *("curves/loss.csv", "curves/loss.png", "curves/validation.png"),
        *("evaluation/speakers.csv", "evaluation/det.png", "evaluation/tsne.png"),
    } <= written


def test_the_logged_model_embeds_a_clip_without_any_pickle(tracked: Tracked) -> None:
    pandas = pytest.importorskip("pandas")
    model = mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    found = model.predict(pandas.DataFrame({"audio": [CLIP.read_bytes()]}))
    expected = embed_clip(load_encoder(tracked.encoder), read_clip(CLIP))
    assert found == approx(expected[None], abs=1e-6)
    files = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/1")).rglob("*")
    suffixes = {path.suffix for path in files if path.is_file()}
    assert ".safetensors" in suffixes and not suffixes & {".pkl", ".pt", ".pth", ".bin"}


def test_the_logged_model_brings_its_code_and_answers_http_requests(tracked: Tracked) -> None:
    environment = {**tracked.environment, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, f"models:/{NAME}/1", str(CLIP)],
        env=environment,
        cwd=tracked.folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    expected = embed_clip(load_encoder(tracked.encoder), read_clip(CLIP))
    assert np.array(answer["reply"]["predictions"][0]) == approx(expected, abs=1e-5)
    elsewhere = [place for place in answer["places"] if "code" not in Path(place).parts]
    assert answer["places"] and not elsewhere


def test_a_synthesizer_pulls_the_encoder_by_the_name_in_its_configuration(
    tracked: Tracked,
) -> None:
    from speakers.tracking.registry import pull_encoder

    expected = embed_clip(load_encoder(tracked.encoder), read_clip(CLIP))
    for name in (NAME, f"models:/{NAME}/latest", f"models:/{NAME}/1"):
        assert embed_clip(pull_encoder(name), read_clip(CLIP)) == approx(expected, abs=1e-6)
    with pytest.raises(AppError, match=f"no encoder 'Other'.*Registered are: {NAME}"):
        pull_encoder("Other")


def test_everything_that_docker_builds_an_image_from_is_written(tracked: Tracked) -> None:
    from mlflow.models.flavor_backend_registry import get_flavor_backend

    target = tracked.folder / "docker"
    uri = f"models:/{NAME}/1"
    backend = get_flavor_backend(uri, docker_build=True, env_manager="local")
    backend.generate_dockerfile(uri, str(target), install_java=False)
    assert "COPY model_dir /opt/ml/model" in (target / "Dockerfile").read_text()
    model = target / "model_dir"
    assert (model / "artifacts" / "encoder.safetensors").is_file()
    assert (model / "code" / "speakers" / "embedding.py").is_file()
    required = (model / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in required) and any(
        line.startswith("torch==") for line in required
    )


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_configurations_are_valid_and_name_the_registered_model(name: str) -> None:
    config = read_tracked_config(ROOT / "config" / f"speaker_recog_encoder_{name}.yml")
    assert config.training.kind == "peewee" and config.training.optimizer == "sgd"
    assert config.tracking.registered_model == "Speaker_Embedding_v1"
    parameters = list_parameters(config)
    assert parameters["training_kind"] == "peewee" and parameters["features_kind"] == "peewee_mel"


def test_the_entry_points_have_defaults_that_exist() -> None:
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    for entry in project["entry_points"].values():
        assert (ROOT / entry["parameters"]["config_path"]["default"]).is_file()
        assert entry["parameters"]["save_model"]["default"] == "False"
        assert {"{config_path}", "{save_model}"} <= set(entry["command"].split())


def test_an_option_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("data: {sources: [x], dataset: y}\ntraining: {step: 4}\n")
    with pytest.raises(AppError, match="Did you mean 'steps'"):
        read_tracked_config(path)


def test_save_model_takes_the_usual_words() -> None:
    from speakers.tracking.train_encoder import parse_flag

    assert parse_flag("True") and parse_flag("true") and not parse_flag("False")
    with pytest.raises(AppError, match="must be true or false"):
        parse_flag("perhaps")

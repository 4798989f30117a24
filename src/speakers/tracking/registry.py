"""Log encoders as MLflow models, and load registered ones.

log_encoder(run / "encoder.pt", registered_name="Speaker_Embedding_v1")
pull_encoder("Speaker_Embedding_v1")            or models:/Speaker_Embedding_v1/2
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from core.errors import AppError
from speakers.embedding import Encoder, load_encoder
from speakers.modules.checkpoints import load_checkpoint, save_checkpoint

MODEL_NAME = "encoder"
MODEL_SCRIPT = Path(__file__).with_name("pyfunc_model.py")
AUDIO_COLUMN = "audio"
CODE_PACKAGES = ("core", "audio", "engines", "speakers")
REQUIREMENTS = (  # what the modules that the logged model imports need
    *("mlflow", "torch", "torchaudio", "numpy", "scipy", "pandas", "safetensors", "soundfile"),
    *("soxr", "pyloudnorm", "ffmpeg-python", "pydantic", "PyYAML", "webrtcvad-wheels"),
    *("silero-vad", "pyworld"),
)
OPTIONAL = ("webrtcvad-wheels", "pyworld")
_URI = re.compile(r"(models|runs|file):/")


def log_encoder(checkpoint: Path, registered_name: str = "") -> str:
    """Log an encoder to the active MLflow run; return the URI of the model.

    registered_name: also register it as the next version of that name.
    """
    found = load_checkpoint(checkpoint)
    size = load_encoder(checkpoint).embedding_size
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "encoder.safetensors"
        save_checkpoint(weights, replace(found, optimizer_state=None))
        info = mlflow.pyfunc.log_model(
            name=MODEL_NAME,
            python_model=str(MODEL_SCRIPT),
            artifacts={MODEL_NAME: str(weights)},
            code_paths=_list_code_paths(),
            signature=ModelSignature(
                inputs=Schema([ColSpec("binary", AUDIO_COLUMN)]),
                outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, size))]),
            ),
            pip_requirements=list_requirements(),
            registered_model_name=registered_name or None,
        )
    return str(info.model_uri)


def pull_encoder(name: str, device: torch.device | str = "cpu") -> Encoder:
    """Download a registered encoder and load it.

    name: of the registered model, for its latest version, or a URI such as models:/NAME/2. Raises
    AppError where the registry has no such model.
    """
    uri = name if _URI.match(name) else f"models:/{name}/latest"
    try:
        with TemporaryDirectory() as folder:
            path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
            (weights,) = path.rglob("encoder.safetensors")
            return replace(load_encoder(weights, device), name=name)
    except (MlflowException, ValueError) as error:
        known = ", ".join(model.name for model in mlflow.search_registered_models()[:10])
        raise AppError(
            f"The registry at {mlflow.get_registry_uri()} has no encoder {name!r} ({error}). "
            f"Registered are: {known or 'none'}. Train one with `mlflow run . -e train_encoder -P "
            "save_model=true`.",
            code="missing_file",
        ) from error


def list_requirements() -> Sequence[str]:
    """Return the packages of the logged model, pinned to the versions installed here."""
    found = []
    for name in REQUIREMENTS:
        try:
            found.append(f"{name}=={version(name).partition('+')[0]}")
        except PackageNotFoundError:
            if name not in OPTIONAL:
                raise
    return found


def _list_code_paths() -> list[str]:
    source = Path(__file__).resolve().parents[2]
    return [str(source / name) for name in CODE_PACKAGES]

"""The logged model of a speaker encoder: audio files in, embeddings out.

MLflow stores this file with the model and executes it to load the model, so that nothing is
unpickled; the weights are the artifact `encoder`, a .safetensors file.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from audio.io import read_clip
from speakers.embedding import Encoder, embed_clip, load_encoder

AUDIO_COLUMN = "audio"
ARTIFACT = "encoder"

# Any: MLflow's context has no type here.


class EncoderModel(PythonModel):
    """Embed the recordings of the column `audio`."""

    encoder: Encoder

    def load_context(self, context: Any) -> None:
        """Load the weights."""
        self.encoder = load_encoder(Path(context.artifacts[ARTIFACT]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return one embedding of unit length for each row: (rows, 256).

        model_input: the column `audio` holds the bytes of audio files, of any format that Testudo
        reads (base64 in a JSON request).
        """
        return np.stack([self._embed(bytes(data)) for data in model_input[AUDIO_COLUMN]])

    def _embed(self, data: bytes) -> npt.NDArray[np.float32]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "clip"
            path.write_bytes(data)
            return embed_clip(self.encoder, read_clip(path))


mlflow.models.set_model(EncoderModel())

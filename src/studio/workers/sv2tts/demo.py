"""The demo: one recording and a text make a sound file."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from audio.clip import ClipError
from audio.io import read_clip, write_clip
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.device import pick_device
from studio.model_store.bundles import find_model_folder, list_models
from studio.model_store.model_engine import SV2TTS
from studio.sv2tts.requests import DemoRequest, DemoResult
from sv2tts.checkpoints import convert_published
from sv2tts.engine import EMBEDDING, Sv2ttsEngine
from sv2tts.generation.options import Sv2ttsOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Demo:
    """An open model."""

    engine: Sv2ttsEngine

    def speak(
        self, reference: Path, text: str, out: Path, seed: int | None, report: ProgressReporter
    ) -> DemoResult:
        """Speak the text in the voice of a recording; write a WAV file."""
        seed = secrets.randbelow(2**31) if seed is None else seed
        advice: Mapping[str, Any] = Sv2ttsOptions.advised(self.engine.folder)  # Any: option values
        options = Sv2ttsOptions(**{**advice, "seed": seed})
        with reraise_as_app_error(ClipError, OSError, about=str(reference)):
            speaker = self.engine.condition([read_clip(reference)], report)
        (made, *_) = self.engine.synthesize(text, speaker, options, report).candidates
        with translate_write_errors(out):
            write_clip(out, made.clip)
        return DemoResult(
            path=str(out),
            seconds=made.clip.duration_s,
            seed=seed,
            embedding_norm=float(speaker.tensors[EMBEDDING].norm()),
            problems=made.aux.report.problems,
        )


@contextmanager
def open_demo(layout: ProjectPaths, request: DemoRequest) -> Iterator[Demo]:
    """Open the model of a demo; files are converted into a temporary folder."""
    device = torch.device("cpu") if request.cpu else pick_device("auto")
    with TemporaryDirectory() as name, reraise_as_app_error(ValueError):
        folder = Path(name)
        if request.encoder:
            files = {
                "encoder": request.encoder,
                "synthesizer": request.synthesizer,
                "vocoder": request.vocoder,
            }
            paths = {part: Path(file).expanduser() for part, file in files.items() if file}
            convert_published(paths, folder, "files of a demo")
        else:
            folder = _find_model(layout, request.model)
        yield Demo(engine=Sv2ttsEngine.load(folder, device))


def _find_model(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a model, by default the first one of the engine."""
    if name:
        return find_model_folder(layout, name)
    for model in list_models(layout):
        if model.engine == SV2TTS and model.speaks:
            return model.path
    raise AppError(
        "There is no SV2TTS model. Import one, or give the files of an encoder, a synthesizer and "
        "a vocoder.",
        code="missing_weights",
        cli_hint="`testudo models import FOLDER` imports a model.",
    )

"""The engine that is loaded: kept from one request to the next, replaced when another is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from core.errors import AppError, UnrecoverableError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.device import pick_device
from engines.registry import get_engine_class
from studio.model_store.bundles import find_model_folder
from studio.schemas.speech import SpeechRequest
from studio.schemas.take_metadata import ComputeEnvironment
from tortoise.checkpoints.layout import ModelFileError

if TYPE_CHECKING:
    from engines.protocols import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEngine:
    """An engine that is ready to speak, and what it was loaded from."""

    engine: Engine
    name: str
    folder: Path
    device: str


class EngineCache:
    """Holds one loaded engine; loading takes seconds, speaking again should not."""

    def __init__(self, layout: ProjectPaths) -> None:
        self._layout = layout
        self._loaded_engine: LoadedEngine | None = None

    def get_engine(self, request: SpeechRequest, report: ProgressReporter) -> Engine:
        """Return the engine that the request names, loading it unless it is there already.

        Raises Unusable for an unknown engine or device, and missing or damaged weights.
        """
        folder = require_model_folder(self._layout, request.bundle)
        with _translate_load_errors():
            device = pick_device(request.device)
        if request.threads:
            torch.set_num_threads(request.threads)
        wanted = (request.engine, folder, str(device))
        held = self._loaded_engine
        if held is None or (held.name, held.folder, held.device) != wanted:
            self._loaded_engine = None  # let go of the old one before the new one takes its memory
            with report.stage("load"), _translate_load_errors():
                engine = get_engine_class(request.engine).load(folder, device)
            held = LoadedEngine(
                engine=engine, name=request.engine, folder=folder, device=str(device)
            )
            self._loaded_engine = held
        return held.engine

    def get_environment(self) -> ComputeEnvironment:
        """Say where the loaded engine computes."""
        return ComputeEnvironment(
            device=self._loaded_engine.device if self._loaded_engine else "",
            threads=torch.get_num_threads(),
            torch=str(torch.__version__),
        )


def require_model_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a bundle; raise Unusable when there is none."""
    try:
        return find_model_folder(layout, name)
    except AppError as refusal:
        raise UnrecoverableError(str(refusal)) from refusal


@contextmanager
def translate_engine_errors(about: str = "") -> Iterator[None]:
    """Turn what an engine refuses into a refusal; what would stop it again into an Unusable one.

    about: which part of the request is worked on.
    """
    try:
        yield
    except (ModelFileError, OSError) as cause:
        raise UnrecoverableError(str(cause)) from cause
    except torch.OutOfMemoryError as cause:
        raise UnrecoverableError(
            "The memory of the device is full. Turn on low VRAM (--low-vram), choose a smaller "
            "sample batch size (--sample-batch-size) or the processor (--device cpu); other "
            "programs may be using it too.",
            code="out_of_memory",
        ) from cause
    except FloatingPointError as cause:
        told = f"{str(cause)[:1].lower()}{str(cause)[1:]}".rstrip(".")
        hint = (
            ""
            if "alf precision" in told
            else (
                ". Turn half precision off and choose another seed; if that does not help, verify "
                "the weights"
            )
        )
        raise AppError(f"{about or 'It'} could not be spoken: {told}{hint}.") from cause
    except MemoryError as cause:
        raise UnrecoverableError(
            "The memory of this machine is full. Draw fewer --samples.", code="out_of_host_memory"
        ) from cause
    except ValueError as cause:
        raise AppError(f"{about}: {cause}" if about else str(cause)) from cause


@contextmanager
def _translate_load_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as cause:
        raise UnrecoverableError(str(cause)) from cause

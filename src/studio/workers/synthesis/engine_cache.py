"""The loaded engine: kept between requests, replaced when the engine or its weights differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from core.errors import AppError, UnrecoverableError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.device import pick_device
from engines.model_files import FileState, ModelFileError, snapshot_files
from engines.registry import get_engine_class
from studio.model_store.bundles import find_model_folder
from studio.schemas.speech import SpeechRequest
from studio.schemas.take_metadata import ComputeEnvironment

if TYPE_CHECKING:
    from engines.protocols import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEngine:
    """An engine and what it was loaded from.

    files: the state of each file of the folder, so that weights replaced under the same name are
    noticed.
    """

    engine: Engine
    name: str
    folder: Path
    device: str
    files: Mapping[str, FileState]


class EngineCache:
    """Holds one loaded engine; loading takes seconds."""

    def __init__(self, layout: ProjectPaths) -> None:
        self._layout = layout
        self._loaded: LoadedEngine | None = None
        self._default_threads = torch.get_num_threads()

    def get_engine(self, request: SpeechRequest, report: ProgressReporter) -> Engine:
        """Return the engine that the request names, loading it where it is not loaded.

        Raises UnrecoverableError for an unknown engine or device, and missing or damaged weights.
        """
        folder = require_model_folder(self._layout, request.bundle)
        with _translate_load_errors():
            device = pick_device(request.device)
            files = snapshot_files(folder)
        torch.set_num_threads(request.threads or self._default_threads)
        key = (request.engine, folder, str(device), files)
        loaded = self._loaded
        if loaded is None or (loaded.name, loaded.folder, loaded.device, loaded.files) != key:
            self._loaded = None  # free the old one before the new one takes its memory
            with report.stage("load"), _translate_load_errors():
                engine = get_engine_class(request.engine).load(folder, device)
            self._loaded = loaded = LoadedEngine(
                engine=engine,
                name=request.engine,
                folder=folder,
                device=str(device),
                files=files,
            )
        return loaded.engine

    def get_environment(self) -> ComputeEnvironment:
        """Return where the loaded engine computes."""
        return ComputeEnvironment(
            device=self._loaded.device if self._loaded else "",
            threads=torch.get_num_threads(),
            torch=str(torch.__version__),
        )


def require_model_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a model; raise UnrecoverableError where there is none."""
    try:
        return find_model_folder(layout, name)
    except AppError as error:
        raise UnrecoverableError(str(error)) from error


@contextmanager
def translate_engine_errors(about: str = "") -> Iterator[None]:
    """Turn an engine's errors into AppErrors; UnrecoverableError where the next request fails too.

    about: which part of the request is spoken.
    """
    try:
        yield
    except (ModelFileError, OSError) as cause:
        raise UnrecoverableError(str(cause)) from cause
    except torch.OutOfMemoryError as cause:
        raise UnrecoverableError(
            "The memory of the device is full. Turn on low VRAM (--low-vram), choose a smaller "
            "sample batch size (--sample-batch-size) or the CPU (--device cpu); other programs "
            "may be using it too.",
            code="out_of_memory",
        ) from cause
    except FloatingPointError as cause:
        message = f"{str(cause)[:1].lower()}{str(cause)[1:]}".rstrip(".")
        hint = ". Turn half precision off and choose another seed; if that does not help, verify "
        hint = "" if "alf precision" in message else f"{hint}the weights"
        raise AppError(f"{about or 'It'} could not be spoken: {message}{hint}.") from cause
    except MemoryError as cause:
        raise UnrecoverableError(
            "The memory of this machine is full. Use fewer --samples.", code="out_of_host_memory"
        ) from cause
    except ValueError as cause:
        raise AppError(f"{about}: {cause}" if about else str(cause)) from cause


@contextmanager
def _translate_load_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as cause:
        raise UnrecoverableError(str(cause)) from cause

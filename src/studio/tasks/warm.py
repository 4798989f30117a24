"""The engine that is loaded: kept from one request to the next, replaced when another is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from engines.device import pick_device
from engines.registry import engine_class
from jobs.report import Reporter
from studio.errors import StudioError, Unusable
from studio.layout import Layout
from studio.speaking import SpeakRequest
from studio.takes import Machine
from studio.weights import existing_bundle
from tortoise.bundle import BundleError

if TYPE_CHECKING:
    from engines.base import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An engine that is ready to speak, and what it was loaded from."""

    engine: Engine
    name: str
    folder: Path
    device: str


class WarmEngine:
    """Holds one loaded engine; loading takes seconds, speaking again should not."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._loaded: Loaded | None = None

    def ready_for(self, request: SpeakRequest, report: Reporter) -> Engine:
        """Return the engine that the request names, loading it unless it is there already.

        Raises Unusable for an unknown engine or device, and missing or damaged weights.
        """
        folder = check_bundle(self._layout, request.bundle)
        with _loading():
            device = pick_device(request.device)
        if request.threads:
            torch.set_num_threads(request.threads)
        wanted = (request.engine, folder, str(device))
        held = self._loaded
        if held is None or (held.name, held.folder, held.device) != wanted:
            self._loaded = None  # let go of the old one before the new one takes its memory
            with report.stage("load"), _loading():
                engine = engine_class(request.engine).load(folder, device)
            held = Loaded(engine=engine, name=request.engine, folder=folder, device=str(device))
            self._loaded = held
        return held.engine

    def machine(self) -> Machine:
        """Say where the loaded engine computes."""
        return Machine(
            device=self._loaded.device if self._loaded else "",
            threads=torch.get_num_threads(),
            torch=str(torch.__version__),
        )


def check_bundle(layout: Layout, name: str) -> Path:
    """Return the folder of a bundle; raise Unusable when there is none."""
    try:
        return existing_bundle(layout, name)
    except StudioError as refusal:
        raise Unusable(str(refusal)) from refusal


@contextmanager
def working(about: str = "") -> Iterator[None]:
    """Turn what an engine refuses into a refusal; what would stop it again into an Unusable one.

    about: which part of the request is worked on.
    """
    try:
        yield
    except (BundleError, OSError) as cause:
        raise Unusable(str(cause)) from cause
    except torch.OutOfMemoryError as cause:
        raise Unusable(
            "The memory of the device is full. Turn on low VRAM (--low-vram), choose a smaller "
            "sample batch size (--sample-batch-size) or the processor (--device cpu); other "
            "programs may be using it too."
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
        raise StudioError(f"{about or 'It'} could not be spoken: {told}{hint}.") from cause
    except MemoryError as cause:
        raise Unusable("The memory of this machine is full. Draw fewer --samples.") from cause
    except ValueError as cause:
        raise StudioError(f"{about}: {cause}" if about else str(cause)) from cause


@contextmanager
def _loading() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as cause:
        raise Unusable(str(cause)) from cause

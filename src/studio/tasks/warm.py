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
from studio.errors import Unusable
from studio.layout import Layout, shown
from studio.speaking import SpeakRequest
from studio.takes import Machine

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
        with _unusable():
            device = pick_device(request.device)
        if request.threads:
            torch.set_num_threads(request.threads)
        wanted = (request.engine, folder, str(device))
        held = self._loaded
        if held is None or (held.name, held.folder, held.device) != wanted:
            self._loaded = None  # let go of the old one before the new one takes its memory
            with report.stage("load"), _unusable():
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
    folder = layout.bundle(name)
    if folder.is_dir():
        return folder
    models = layout.models
    there = sorted(path.name for path in models.iterdir()) if models.is_dir() else []
    known = f"There is: {', '.join(there)}." if there else "There is none yet."
    raise Unusable(
        f"There are no weights {shown(name)} in {layout.models}. {known} "
        "`testudo models list` shows them and `testudo models download` fetches more."
    )


@contextmanager
def _unusable() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as cause:
        raise Unusable(str(cause)) from cause

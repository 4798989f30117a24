"""A workshop whose engine hums, for worker processes: lines wait where a test asks them to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import engines.registry
from core.progress import ProgressReporter
from engines.protocols import SynthesisOutput
from engines.speaker_latents import SpeakerLatents
from studio.workers import context as workshop
from support.fake_engine import FakeEngine, FakeOptions

WORKSHOP = "support.fake_engine_process:open_workshop"


class SlowHum(FakeEngine):
    """Speaks one line, then waits for the file `go`; the word "deadly" kills it once."""

    root: Path

    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: FakeOptions, report: ProgressReporter
    ) -> SynthesisOutput:
        with (self.root / "spoken").open("a") as file:
            file.write(f"{text}\n")
        deadly = self.root / "deadly"
        if "deadly" in text and not deadly.exists():
            deadly.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while "patient" in text and not (self.root / "go").exists():
            report.check_cancelled()
            time.sleep(0.01)
        while "stuck" in text:
            pass
        return super().synthesize(text, speaker, options, report)


def open_workshop(layout: Mapping[str, Any], settings: Mapping[str, Any]) -> workshop.WorkerContext:
    """Open the usual workshop over the engine that hums."""
    engines.registry.ENGINES = {
        "tortoise": ("support.fake_engine:FakeOptions", "support.fake_engine_process:SlowHum")
    }
    SlowHum.root = Path(layout["root"])
    return workshop.create_worker_context(layout, settings)


def spoken(root: Path) -> Sequence[str]:
    """The lines that were begun, in order."""
    file = root / "spoken"
    return file.read_text().splitlines() if file.exists() else []

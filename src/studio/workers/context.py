"""Context of a worker process, kept between jobs: folders, settings and a loaded engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import from_dict
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.workers.synthesis.synthesizer import Synthesizer


class TaskContext(Protocol):
    """What most tasks need; a `Studio` has it too, so the command line calls tasks directly."""

    layout: ProjectPaths
    settings: Settings


class WorkerContext:
    """Everything that tasks share within one worker process."""

    def __init__(self, layout: ProjectPaths, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.synthesizer = Synthesizer(layout, can_download=not settings.offline)


def create_worker_context(layout: Mapping[str, Any], settings: Mapping[str, Any]) -> WorkerContext:
    """Create the context from plain values, as sent to the process."""
    return WorkerContext(
        ProjectPaths(**{name: Path(folder) for name, folder in layout.items()}),
        from_dict(Settings, settings),
    )


def synthesize_speech_task(
    context: WorkerContext, request: SpeechRequest, report: ProgressReporter
) -> SpeechResult:
    """Synthesize a request with the loaded engine."""
    return context.synthesizer.speak(request, report)

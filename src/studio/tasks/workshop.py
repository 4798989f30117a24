"""What one worker process keeps from job to job: the folders, the settings, and a warm speaker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.plain import from_plain
from jobs.report import Reporter
from studio.layout import Layout
from studio.settings import Settings
from studio.speaking import SpeakRequest, Spoken
from studio.tasks.speak import Speaker


class Workshop:
    """Everything that tasks share within one worker process."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.speaker = Speaker(layout)


def open_workshop(layout: Mapping[str, Any], settings: Mapping[str, Any]) -> Workshop:
    """Make the workshop from plain values, which is how they reach the process."""
    return Workshop(
        Layout(**{name: Path(folder) for name, folder in layout.items()}),
        from_plain(Settings, settings),
    )


def speak(workshop: Workshop, request: SpeakRequest, report: Reporter) -> Spoken:
    """Speak a request with the warm speaker."""
    return workshop.speaker.speak(request, report)

"""The button that installs Whisper while a transcriber lacks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from core.errors import AppError
from jobs.models import Job
from studio.app.studio import Studio
from studio.datasets.service import list_transcribers
from studio.model_store.lifecycle import InstallSpeechModelRequest
from webui.components.live_panel import Updates
from webui.components.messages import note_html

INSTALL_TASK = "install_speech_model"
INSTALL_LABEL = "Install Whisper"
OFFLINE_REASON = (
    "Whisper cannot be installed: Only Load Models Locally is on. Turn it off in Settings."
)


class InstallerState(NamedTuple):
    """What the button depends on. is_active: a job installs;  last_done: id of the last that did.

    The transcribers are listed anew where this changes.
    """

    is_offline: bool
    is_active: bool
    last_done: str


class SpeechModelInstaller:
    """The button, and a note below it with the reason where it is disabled."""

    def __init__(self, studio: Studio, elem_id: str, origin: str) -> None:
        self.studio, self.origin = studio, origin
        self.button = gr.Button(INSTALL_LABEL, size="md", visible=False, elem_id=elem_id)
        self.note = gr.HTML("", elem_id=f"{elem_id}-note")
        self.outputs = [self.button, self.note]

    def get_state(self, jobs: Sequence[Job]) -> InstallerState:
        """Return the state.  jobs: newest first."""
        installs = [job for job in jobs if job.task == INSTALL_TASK]
        return InstallerState(
            is_offline=self.studio.settings.offline,
            is_active=any(not job.is_over for job in installs),
            last_done=next((job.id for job in installs if job.state == "done"), ""),
        )

    def render(self, state: InstallerState) -> Updates:
        """Show the button where a transcriber can be installed; disable it while that cannot be."""
        is_missing = any(one.can_install for one in list_transcribers(self.studio.layout))
        is_enabled = not (state.is_offline or state.is_active)
        return {
            self.button: gr.update(visible=is_missing, interactive=is_enabled),
            self.note: note_html(OFFLINE_REASON if is_missing and state.is_offline else ""),
        }

    def install(self) -> None:
        """Queue a job that installs Whisper."""
        if self.get_state(self.studio.jobs(limit=50)).is_active:
            raise AppError("Whisper is being installed already.")
        request = InstallSpeechModelRequest(offline=self.studio.settings.offline)
        self.studio.submit(request, title="Installation of Whisper", origin=self.origin)

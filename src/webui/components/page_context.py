"""What the tabs of one page share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from studio.app.studio import Studio

if TYPE_CHECKING:
    from webui.components.job_list import JobPanel
    from webui.generate.form import GenerateForm

"""For events that answer at once: no queue, no spinner, no name in the API."""


@dataclass(kw_only=True)
class PageContext:
    """The page while it is built: the studio behind it and what the tabs reach of each other.

    tab is the one that is being built; form and panel are there once the Generate tab is built,
    which comes first.
    """

    studio: Studio
    blocks: gr.Blocks
    tabs: gr.Tabs
    tab: gr.Tab | None = None
    _form: GenerateForm | None = None
    _training_tabs: gr.Tabs | None = None
    _panel: JobPanel | None = None

    @property
    def form(self) -> GenerateForm:
        """The controls of the Generate tab, to fill them from elsewhere."""
        assert self._form is not None, "the Generate tab is built first"
        return self._form

    @form.setter
    def form(self, form: GenerateForm) -> None:
        self._form = form

    @property
    def training_tabs(self) -> gr.Tabs:
        """The parts of the tab Training, to go from one to another."""
        assert self._training_tabs is not None, "the tab Training is being built"
        return self._training_tabs

    @training_tabs.setter
    def training_tabs(self, parts: gr.Tabs) -> None:
        self._training_tabs = parts

    @property
    def panel(self) -> JobPanel:
        """What runs and what waits."""
        assert self._panel is not None, "the Generate tab is built first"
        return self._panel

    @panel.setter
    def panel(self, panel: JobPanel) -> None:
        self._panel = panel

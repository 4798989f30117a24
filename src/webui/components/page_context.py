"""Context shared by the tabs of a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import gradio as gr

from studio.app.studio import Studio
from webui.components.changes import ChangeSignal

if TYPE_CHECKING:
    from webui.generate.form import GenerateForm


@dataclass(kw_only=True)
class PageContext:
    """The page while it is built.

    changes: tells open pages which panels have something new;  tab: the one being built;  form: of
    the Generate tab, which is built first;  training_tabs: the parts of the Training tab, set while
    it is built.
    """

    studio: Studio
    blocks: gr.Blocks
    tabs: gr.Tabs
    changes: ChangeSignal = field(default_factory=ChangeSignal)
    tab: gr.Tab | None = None
    form: GenerateForm = field(init=False)
    training_tabs: gr.Tabs = field(init=False)

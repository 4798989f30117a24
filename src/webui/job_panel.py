"""What runs, what waits and what was just spoken."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True, kw_only=True)
class JobPanel:
    """The part of the page that shows jobs."""

    view: gr.HTML

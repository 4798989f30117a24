"""The tab Utilities: one clip looked into, a voice checked, a text in tokens, two models merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.errors import AppError
from jobs.models import Job
from studio.app.studio import Studio
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext
from webui.tools.clip_editor import build_clip_editor
from webui.tools.merge import build_merge_tool
from webui.tools.results import RESULT_RENDERERS, tool_job_html
from webui.tools.tokens import build_tokens_tool
from webui.tools.voice_check import build_voice_check

# Any: updates of Gradio's components.

POLL_INTERVAL_S = 1.5
NOTHING_RUNNING = "Nothing of this tab is being worked on."


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilitiesSessionState:
    """What a browser was shown last. going: whether there was something to stop."""

    html_parts: tuple[str, ...] = ()
    is_running: bool = False


def build_utilities_tab(page: PageContext) -> None:
    """Draw the tab and wire it."""
    views: dict[str, gr.HTML] = {}
    with gr.Tabs(elem_id="utilities-parts"):
        with gr.Tab("Clip", id="clip", elem_id="utilities-part-clip"):
            views |= build_clip_editor(page)
        with gr.Tab("Voice", id="voice", elem_id="utilities-part-voice"):
            views |= build_voice_check(page)
        with gr.Tab("Tokens", id="tokens", elem_id="utilities-part-tokens"):
            build_tokens_tool(page)
        with gr.Tab("Merge", id="merge", elem_id="utilities-part-merge"):
            views |= build_merge_tool(page)
    with gr.Row():
        message = gr.HTML("", elem_id="utilities-message")
        stop = gr.Button(
            "Stop what this tab asked for",
            size="md",
            variant="stop",
            visible=False,
            elem_id="utilities-stop",
        )
    stop.click(lambda: _stop_jobs(page.studio), None, message, **EVENT_OPTIONS)
    _bind_polling(page, views, stop)


def _stop_jobs(studio: Studio) -> str:
    """Stop what this tab asked for and is not over."""
    try:
        going = [
            job for job in studio.jobs(limit=50) if job.task in RESULT_RENDERERS and not job.is_over
        ]
        for job in going:
            studio.cancel(job.id)
    except AppError as cause:
        return error_html(cause)
    return note_html(
        f"Stopped: {', '.join(job.title for job in going)}." if going else NOTHING_RUNNING
    )


def _bind_polling(page: PageContext, views: dict[str, gr.HTML], stop: gr.Button) -> None:
    """Show the newest job of each kind as it goes on; a page that is opened again shows it too."""
    seen = gr.State(UtilitiesSessionState())
    look = _make_poll_handler(page.studio, list(views))
    outputs = [seen, stop, *views.values()]
    for ask in (gr.Timer(POLL_INTERVAL_S).tick, page.blocks.load):
        ask(look, [seen], outputs, **EVENT_OPTIONS)


def _make_poll_handler(
    studio: Studio, tasks: Sequence[str]
) -> Callable[[UtilitiesSessionState], list[Any]]:
    def look(seen: UtilitiesSessionState) -> list[Any]:
        newest: dict[str, Job] = {}
        for job in studio.jobs(limit=50):  # the newest come first
            newest.setdefault(job.task, job)
        shown = [newest.get(task) for task in tasks]
        told = [tool_job_html(job, studio.layout) if job else "" for job in shown]
        going = any(job is not None and not job.is_over for job in shown)
        before = seen.html_parts or [""] * len(told)
        news = [gr.skip() if old == new else new for old, new in zip(before, told, strict=True)]
        button = gr.skip() if going == seen.is_running else gr.update(visible=going)
        return [UtilitiesSessionState(html_parts=tuple(told), is_running=going), button, *news]

    return look

"""The tab Utilities: one clip looked into, a voice checked, a text in tokens, two models merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from jobs.job import Job
from studio.errors import StudioError
from studio.studio import Studio
from webui.clip_bench import draw_clip
from webui.merge_panel import draw_merge
from webui.messages import note, refusal
from webui.page import QUIET, Page
from webui.token_panel import draw_tokens
from webui.utility_views import JOBS, job_told
from webui.voice_check import draw_voice_check

# Any: updates of Gradio's components.

WATCH_S = 1.5
NOBODY = "Nothing of this tab is being worked on."


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a browser was shown last. going: whether there was something to stop."""

    told: tuple[str, ...] = ()
    going: bool = False


def build(page: Page) -> None:
    """Draw the tab and wire it."""
    views: dict[str, gr.HTML] = {}
    with gr.Tabs(elem_id="utilities-parts"):
        with gr.Tab("Clip", id="clip", elem_id="utilities-part-clip"):
            views |= draw_clip(page)
        with gr.Tab("Voice", id="voice", elem_id="utilities-part-voice"):
            views |= draw_voice_check(page)
        with gr.Tab("Tokens", id="tokens", elem_id="utilities-part-tokens"):
            draw_tokens(page)
        with gr.Tab("Merge", id="merge", elem_id="utilities-part-merge"):
            views |= draw_merge(page)
    with gr.Row():
        message = gr.HTML("", elem_id="utilities-message")
        stop = gr.Button(
            "Stop what this tab asked for",
            size="md",
            variant="stop",
            visible=False,
            elem_id="utilities-stop",
        )
    stop.click(lambda: _stop(page.studio), None, message, **QUIET)
    _watch(page, views, stop)


def _stop(studio: Studio) -> str:
    """Stop what this tab asked for and is not over."""
    try:
        going = [job for job in studio.jobs(limit=50) if job.task in JOBS and not job.is_over]
        for job in going:
            studio.cancel(job.id)
    except StudioError as cause:
        return refusal(cause)
    return note(f"Stopped: {', '.join(job.title for job in going)}." if going else NOBODY)


def _watch(page: Page, views: dict[str, gr.HTML], stop: gr.Button) -> None:
    """Show the newest job of each kind as it goes on; a page that is opened again shows it too."""
    seen = gr.State(Seen())
    look = _looker(page.studio, list(views))
    outputs = [seen, stop, *views.values()]
    for ask in (gr.Timer(WATCH_S).tick, page.blocks.load):
        ask(look, [seen], outputs, **QUIET)


def _looker(studio: Studio, tasks: Sequence[str]) -> Callable[[Seen], list[Any]]:
    def look(seen: Seen) -> list[Any]:
        newest: dict[str, Job] = {}
        for job in studio.jobs(limit=50):  # the newest come first
            newest.setdefault(job.task, job)
        shown = [newest.get(task) for task in tasks]
        told = [job_told(job, studio.layout) if job else "" for job in shown]
        going = any(job is not None and not job.is_over for job in shown)
        before = seen.told or [""] * len(told)
        news = [gr.skip() if old == new else new for old, new in zip(before, told, strict=True)]
        button = gr.skip() if going == seen.going else gr.update(visible=going)
        return [Seen(told=tuple(told), going=going), button, *news]

    return look

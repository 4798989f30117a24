"""The page: five tabs over one studio, mounted into a FastAPI server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from studio.app.studio import Studio
from webui.components.changes import ChangeSignal, add_changes_route
from webui.components.page_context import PageContext
from webui.components.queue_drawer import build_queue_drawer
from webui.components.theme import ASSETS, HEAD, STYLES, QuietTheme
from webui.generate import tab as generate
from webui.history import tab as history
from webui.job_notice import JobNotice
from webui.languages.blocks import LanguageMiddleware, LanguageSetting, TranslatedBlocks
from webui.offline import add_offline_routes
from webui.settings import tab as settings
from webui.tools import tab as utilities
from webui.training import tab as training

if TYPE_CHECKING:
    from fastapi import FastAPI

TITLE = "Testudo"
MASTHEAD = """\
<div class="masthead"><h1>Testudo</h1><p>Local voice studio</p>
<button type="button" class="small" id="keys-open" title="Keyboard shortcuts">?</button>
<button type="button" class="small" id="theme-switch">Theme: System</button></div>
"""
CALL_PATHS = ("/gradio_api/run/", "/gradio_api/api/", "/gradio_api/call/", "/gradio_api/queue/join")
UPLOAD_LIMIT = "500mb"
QUEUE_POLL_INTERVAL_S = 0.02
"""How often Gradio checks its empty queue. Its default of 1 ms takes 6 % of a core."""
TABS = (
    ("generate", "Generate", generate.build_generate_tab),
    ("history", "History", history.build_history_tab),
    ("utilities", "Utilities", utilities.build_utilities_tab),
    ("training", "Training", training.build_training_tab),
    ("settings", "Settings", settings.build_settings_tab),
)


def build_page(studio: Studio, changes: ChangeSignal | None = None) -> gr.Blocks:
    """Build the page.  changes: tells open pages which panels have something new."""
    blocks = TranslatedBlocks(
        read_language_setting(studio),
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(3600, 86400),
    )
    with blocks:
        gr.HTML(MASTHEAD, elem_id="masthead", js_on_load="window.testudo?.labelTheme();")
        changes = changes or ChangeSignal()
        JobNotice(studio, blocks)
        build_queue_drawer(studio, changes)
    with blocks, gr.Tabs(selected="generate", elem_id="tabs", overflow_behavior="wrap") as tabs:
        page = PageContext(studio=studio, changes=changes, blocks=blocks, tabs=tabs)
        for id, label, build in TABS:
            with gr.Tab(label, id=id, elem_id=f"tab-{id}") as tab:
                page.tab = tab
                build(page)
    blocks.queue(default_concurrency_limit=studio.settings.concurrency)
    blocks._queue.sleep_when_free = QUEUE_POLL_INTERVAL_S
    return blocks


def mount_page(server: FastAPI, studio: Studio, path: str = "/") -> FastAPI:
    """Mount the page into a server under `path`; returns the server."""
    changes = ChangeSignal()
    add_changes_route(server, changes, path)
    add_offline_routes(server, path)
    server.add_middleware(LanguageMiddleware, read_setting=read_language_setting(studio))
    server.mount(f"{path.rstrip('/')}/wavesurfer", StaticFiles(directory=ASSETS / "wavesurfer"))
    mounted: FastAPI = gr.mount_gradio_app(
        server,
        build_page(studio, changes),
        path=path,
        theme=QuietTheme(),
        css_paths=STYLES,
        pwa=True,
        favicon_path=ASSETS / "icon.svg",
        head=HEAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=UPLOAD_LIMIT,
        blocked_paths=_list_private_paths(studio),
    )
    answer_unknown_functions(mounted)
    return mounted


def read_language_setting(studio: Studio) -> LanguageSetting:
    """Return a function that reads the setting of the language."""
    return lambda: studio.settings.language


def answer_unknown_functions(server: FastAPI) -> None:
    """Answer calls of functions that the page does not have with 404; Gradio would crash."""
    for route in server.routes:
        if isinstance(route, Mount) and isinstance(route.app, Starlette):
            for error in (FnIndexInferError, KeyError):
                route.app.add_exception_handler(error, _answer_unknown_function)


async def _answer_unknown_function(request: Request, error: Exception) -> Response:
    if not any(part in request.url.path for part in CALL_PATHS):
        raise error
    message = "The page has no such function. The API for programs is described at /docs."
    described = {"message": message, "cause": "not_found", "type": "invalid_request_error"}
    return JSONResponse({"error": described}, 404)


def _list_private_paths(studio: Studio) -> list[str]:
    """Return the files that Gradio must not serve: the state of the studio except uploads."""
    layout = studio.layout
    state = (layout.jobs_db, layout.history_db, layout.stars, layout.trash, layout.exports)
    return [str(path) for path in (*state, layout.log.parent, layout.settings_file)]

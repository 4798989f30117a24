"""An ASGI app that shows a loading page until the Gradio page, which takes seconds, is built."""

from __future__ import annotations

import asyncio
from asyncio import Event
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response

from api.errors import error_response
from api.security_middleware import Receive, Scope, Send
from core.background import run_in_background

if TYPE_CHECKING:
    from fastapi import FastAPI

LOADING_PAGE_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>Testudo</title>
<style>:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 22rem; margin: 12vh auto; padding: 0 1rem }</style></head>
<body><h1>Testudo</h1><p role="status">Testudo is starting. This takes some seconds.</p></body>
</html>
"""


class LazyAsgiApp:
    """Serve the page once `load_and_serve` has built it."""

    def __init__(self) -> None:
        self._page: FastAPI | None = None

    async def load_and_serve(
        self, build: Callable[[], FastAPI], ended: Event, ready: Callable[[], object]
    ) -> None:
        """Build the page in a thread and serve it until `ended` is set."""
        page = await asyncio.wrap_future(run_in_background(build, "page"))
        async with page.router.lifespan_context(page):
            self._page = page
            ready()
            await ended.wait()
            self._page = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._page is not None:
            await self._page(scope, receive, send)
        elif scope["type"] == "http":
            await _loading_response(scope)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1013})


def _loading_response(scope: Scope) -> Response:
    soon = {"retry-after": "1", "cache-control": "no-store"}
    if "text/html" in Headers(scope=scope).get("accept", ""):
        return HTMLResponse(LOADING_PAGE_HTML, 503, soon)
    return error_response(503, "The page is loading. Try again in a second.", "opening", soon)

"""The page without the studio: a service worker, and what it shows while nothing answers."""

from __future__ import annotations

from fastapi import FastAPI
from markupsafe import Markup
from starlette.responses import FileResponse, HTMLResponse

from webui.components.templates import render
from webui.components.theme import ASSETS

FOLDER = ASSETS / "offline"
HEADERS = {"cache-control": "no-cache"}


def add_offline_routes(server: FastAPI, path: str) -> None:
    """Serve the service worker and its page under the path of the page, which is its scope."""

    def read_worker() -> FileResponse:
        return FileResponse(
            FOLDER / "service-worker.js", media_type="text/javascript", headers=HEADERS
        )

    def read_offline_page() -> HTMLResponse:
        style, script = (
            Markup((FOLDER / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js")
        )
        page = render("offline.html", style=style, script=script)
        return HTMLResponse(str(page), headers=HEADERS)

    for name, read in (("service-worker.js", read_worker), ("offline.html", read_offline_page)):
        address = f"{path.rstrip('/')}/{name}"
        server.add_api_route(address, read, methods=["GET"], include_in_schema=False)

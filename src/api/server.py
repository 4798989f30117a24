"""One server for the page and the API: every door of the studio on one port, behind one lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from anyio import to_thread
from fastapi import APIRouter, FastAPI
from starlette.responses import RedirectResponse, Response

from api import (
    datasets,
    docs,
    exports,
    files,
    jobs,
    models,
    openai,
    results,
    runs,
    system,
    voices,
)
from api.access import Access
from api.errors import MISSING, Refused, answer_refusals
from api.gate import Gate
from api.guards import Rules, guarded
from api.slot import PageSlot
from studio.studio import Studio

ABOUT = (
    "Speak texts in cloned voices, and train on them: jobs, voices, results, models, datasets and "
    "runs under /api, and the speech endpoints of OpenAI under /v1."
)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
PARTS = (jobs, voices, results, exports, models, datasets, runs, system, files, openai)


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a studio is served.

    path: what every address begins with, "" or like /gradio;  draw: draws the page, None for the
    API alone;  ready: called once the page is there;  broken: called with why it will not be.
    """

    path: str = ""
    access: Access = field(default_factory=Access)
    rules: Rules = field(default_factory=Rules)
    draw: Callable[[], FastAPI] | None = None
    ready: Callable[[], object] = _nothing
    broken: Callable[[BaseException], object] = lambda _: None


def build_server(studio: Studio, serving: Serving) -> FastAPI:
    """Build the server of a studio, which is closed when the server ends."""
    slot = PageSlot()
    app = FastAPI(
        title="Testudo",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{serving.path}/openapi.json",
        lifespan=_lifespan(studio, serving, slot),
    )
    app.state.studio = studio
    app.state.path = serving.path
    answer_refusals(app)
    for part in PARTS:
        router: APIRouter = part.router
        app.include_router(router, prefix=serving.path)
    app.include_router(docs.router, prefix=serving.path)
    for kept in ("/api", "/v1"):  # the page behind has an answer of its own for what is not there
        app.add_api_route(
            f"{serving.path}{kept}/{{rest:path}}",
            _nowhere,
            methods=METHODS,
            include_in_schema=False,
        )
    if serving.path:
        for short in ("/", serving.path):
            app.add_api_route(short, _to(f"{serving.path}/"), include_in_schema=False)
    for icon in {"/favicon.ico", f"{serving.path}/favicon.ico"}:
        app.add_api_route(icon, _no_icon, include_in_schema=False)
    app.mount("", slot)
    app.add_middleware(Gate, access=serving.access, path=serving.path)
    app.add_middleware(guarded, rules=serving.rules)
    return app


Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def _lifespan(studio: Studio, serving: Serving, slot: PageSlot) -> Lifespan:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        ended = asyncio.Event()
        page: asyncio.Task[None] | None = None
        if serving.draw is not None:
            page = asyncio.create_task(slot.hold(serving.draw, ended, serving.ready))
            page.add_done_callback(lambda task: _tell(task, serving))
        try:
            yield
        finally:
            ended.set()
            await to_thread.run_sync(studio.close)
            if page is not None:
                await asyncio.wait([page], timeout=1)

    return live


def _tell(page: asyncio.Task[None], serving: Serving) -> None:
    if not page.cancelled() and (problem := page.exception()) is not None:
        serving.broken(problem)


def _nowhere() -> None:
    raise Refused(
        MISSING, "There is nothing at this address. See /docs for what there is.", "not_found"
    )


def _no_icon() -> Response:
    """Answer browsers that ask before they have read which icon the page names."""
    return Response(status_code=204, headers={"cache-control": "max-age=86400"})


def _to(goal: str) -> Callable[[], RedirectResponse]:
    def redirect() -> RedirectResponse:
        return RedirectResponse(goal, 307)

    return redirect

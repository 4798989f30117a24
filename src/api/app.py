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

from api import docs
from api.auth import AuthConfig
from api.auth_middleware import AuthMiddleware
from api.errors import NOT_FOUND, ApiError, register_exception_handlers
from api.lazy_page import LazyAsgiApp
from api.routes import datasets, exports, files, jobs, models, openai, system, voices
from api.routes import history as results
from api.routes import training_runs as runs
from api.security_middleware import RequestLimits, add_security_middleware
from studio.app.studio import Studio

API_DESCRIPTION = (
    "Speak texts in cloned voices, and train on them: jobs, voices, results, models, datasets and "
    "runs under /api, and the speech endpoints of OpenAI under /v1."
)
HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ROUTE_MODULES = (jobs, voices, results, exports, models, datasets, runs, system, files, openai)


def _do_nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """How a studio is served.

    path: what every address begins with, "" or like /gradio;  draw: draws the page, None for the
    API alone;  ready: called once the page is there;  broken: called with why it will not be.
    """

    path: str = ""
    access: AuthConfig = field(default_factory=AuthConfig)
    rules: RequestLimits = field(default_factory=RequestLimits)
    build_page: Callable[[], FastAPI] | None = None
    on_page_ready: Callable[[], object] = _do_nothing
    on_page_error: Callable[[BaseException], object] = lambda _: None


def create_app(studio: Studio, serving: AppConfig) -> FastAPI:
    """Build the server of a studio, which is closed when the server ends."""
    slot = LazyAsgiApp()
    app = FastAPI(
        title="Testudo",
        description=API_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{serving.path}/openapi.json",
        lifespan=_create_lifespan(studio, serving, slot),
    )
    app.state.studio = studio
    app.state.path = serving.path
    register_exception_handlers(app)
    for part in ROUTE_MODULES:
        router: APIRouter = part.router
        app.include_router(router, prefix=serving.path)
    app.include_router(docs.router, prefix=serving.path)
    for kept in ("/api", "/v1"):  # the page behind has an answer of its own for what is not there
        app.add_api_route(
            f"{serving.path}{kept}/{{rest:path}}",
            _raise_not_found,
            methods=HTTP_METHODS,
            include_in_schema=False,
        )
    if serving.path:
        for short in ("/", serving.path):
            app.add_api_route(short, _make_redirect(f"{serving.path}/"), include_in_schema=False)
    for icon in {"/favicon.ico", f"{serving.path}/favicon.ico"}:
        app.add_api_route(icon, _no_icon, include_in_schema=False)
    app.mount("", slot)
    app.add_middleware(AuthMiddleware, access=serving.access, path=serving.path)
    app.add_middleware(add_security_middleware, rules=serving.rules)
    return app


Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def _create_lifespan(studio: Studio, serving: AppConfig, slot: LazyAsgiApp) -> Lifespan:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        ended = asyncio.Event()
        page: asyncio.Task[None] | None = None
        if serving.build_page is not None:
            page = asyncio.create_task(
                slot.load_and_serve(serving.build_page, ended, serving.on_page_ready)
            )
            page.add_done_callback(lambda task: _report_page_error(task, serving))
        try:
            yield
        finally:
            ended.set()
            await to_thread.run_sync(studio.close)
            if page is not None:
                await asyncio.wait([page], timeout=1)

    return live


def _report_page_error(page: asyncio.Task[None], serving: AppConfig) -> None:
    if not page.cancelled() and (problem := page.exception()) is not None:
        serving.on_page_error(problem)


def _raise_not_found() -> None:
    raise ApiError(
        NOT_FOUND, "There is nothing at this address. See /docs for what there is.", "not_found"
    )


def _no_icon() -> Response:
    """Answer browsers that ask before they have read which icon the page names."""
    return Response(status_code=204, headers={"cache-control": "max-age=86400"})


def _make_redirect(goal: str) -> Callable[[], RedirectResponse]:
    def redirect() -> RedirectResponse:
        return RedirectResponse(goal, 307)

    return redirect

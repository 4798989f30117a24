"""The FastAPI application: the page and the API on one port."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from api import docs
from api.auth import AuthConfig
from api.auth_middleware import AuthMiddleware
from api.errors import METHOD_NOT_ALLOWED, NOT_FOUND, ApiError, register_exception_handlers
from api.lazy_page import LazyAsgiApp
from api.routes import datasets, files, jobs, models, openai, projects, system, voices
from api.routes import history as results
from api.routes import training_runs as runs
from api.security_middleware import RequestLimits, SecurityMiddleware
from studio.app.studio import Studio

API_DESCRIPTION = (
    "Synthesize speech in cloned voices and train models: jobs, voices, results, models, datasets "
    "and runs under /api, and the speech endpoints of OpenAI under /v1."
)
HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ROUTE_MODULES = (*(jobs, voices, results, projects, models, datasets, runs, system, files, openai),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """Options of the application.

    path: the prefix of every address, "" or like /gradio;  build_page: creates the page, None for
    the API alone;  on_page_ready, on_page_error: called once the page is served, or failed.
    """

    path: str = ""
    access: AuthConfig = field(default_factory=AuthConfig)
    rules: RequestLimits = field(default_factory=RequestLimits)
    build_page: Callable[[], FastAPI] | None = None
    on_page_ready: Callable[[], object] = lambda: None
    on_page_error: Callable[[BaseException], object] = lambda _: None


def create_app(studio: Studio, serving: AppConfig) -> FastAPI:
    """Create the application of a studio, which is closed with it."""
    page = LazyAsgiApp()
    app = FastAPI(
        title="Testudo",
        description=API_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{serving.path}/openapi.json",
        lifespan=_create_lifespan(studio, serving, page),
    )
    app.state.studio = studio
    app.state.path = serving.path
    app.state.job_views = OrderedDict()  # by job, see ApiContext.job_view
    register_exception_handlers(app)
    for module in ROUTE_MODULES:
        router: APIRouter = module.router
        app.include_router(router, prefix=serving.path)
    app.include_router(docs.router, prefix=serving.path)
    for prefix in ("/api", "/v1"):  # JSON errors instead of those of the page
        app.add_api_route(
            f"{serving.path}{prefix}/{{rest:path}}",
            _raise_not_found,
            methods=HTTP_METHODS,
            include_in_schema=False,
        )
    if serving.path:
        for short in ("/", serving.path):
            app.add_api_route(short, _make_redirect(f"{serving.path}/"), include_in_schema=False)
    for icon in {"/favicon.ico", f"{serving.path}/favicon.ico"}:
        app.add_api_route(icon, _no_icon, include_in_schema=False)
    app.mount("", page)
    app.add_middleware(AuthMiddleware, access=serving.access, path=serving.path)
    app.add_middleware(SecurityMiddleware, rules=serving.rules)
    return app


Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def _create_lifespan(studio: Studio, serving: AppConfig, lazy_page: LazyAsgiApp) -> Lifespan:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        ended = asyncio.Event()
        page: asyncio.Task[None] | None = None
        if serving.build_page is not None:
            page = asyncio.create_task(
                lazy_page.load_and_serve(serving.build_page, ended, serving.on_page_ready)
            )
            page.add_done_callback(lambda task: _report_page_error(task, serving))
        try:
            yield
        finally:
            ended.set()
            await to_thread.run_sync(studio.close)
            if page is not None:
                await asyncio.wait([page], timeout=1)

    return run


def _report_page_error(page: asyncio.Task[None], serving: AppConfig) -> None:
    if not page.cancelled() and (problem := page.exception()) is not None:
        serving.on_page_error(problem)


def _raise_not_found(request: Request) -> None:
    allowed = _list_allowed_methods(request)
    if allowed:
        raise ApiError(
            METHOD_NOT_ALLOWED,
            f"{request.method} is not allowed at this address; {', '.join(allowed)} is.",
            "wrong_method",
            headers={"allow": ", ".join(allowed)},
        )
    raise ApiError(
        NOT_FOUND, "There is nothing at this address. See /docs for all addresses.", "not_found"
    )


def _list_allowed_methods(request: Request) -> list[str]:
    """Return the methods that the routes of the API have for the address of a request."""
    path = request.url.path.removeprefix(request.app.state.path)
    scope = {**request.scope, "path": path, "root_path": ""}
    found = {
        method
        for module in ROUTE_MODULES
        for route in module.router.routes
        if route.matches(scope)[0] is Match.PARTIAL
        for method in route.methods
    }
    return sorted(found)


def _no_icon() -> Response:
    """Answer browsers that request the icon before they read the page."""
    return Response(status_code=204, headers={"cache-control": "max-age=86400"})


def _make_redirect(goal: str) -> Callable[[], RedirectResponse]:
    def redirect() -> RedirectResponse:
        return RedirectResponse(goal, 307)

    return redirect

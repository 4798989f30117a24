"""The page /docs: the OpenAPI description as HTML without scripts or files from other hosts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, Template

router = APIRouter()


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def read_docs(request: Request) -> HTMLResponse:
    """Render every route and schema of the API."""
    path = request.app.state.path
    base = str(request.base_url).rstrip("/") + path
    page = _load_template().render(
        api=request.app.openapi(), base=base, spec=f"{path}/openapi.json"
    )
    return HTMLResponse(page)


@cache
def _load_template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("api").joinpath("docs.html").read_text(encoding="utf-8"))

"""Jinja2 templates of the page, under webui/templates. Autoescape is on for every template."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from core.formatting import (
    format_bytes,
    format_clock,
    format_count,
    format_duration,
    format_timestamp,
)

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FILTERS = {
    "bytes": format_bytes,
    "clock": format_clock,
    "count": format_count,
    "duration": format_duration,
    "timestamp": format_timestamp,
}


def render(name: str, /, **values: Any) -> Markup:  # Any: whatever the template shows
    """Render the template `name`. Values are escaped, except rendered templates."""
    return Markup(_get_environment().get_template(name).render(values))


def render_macro(name: str, /, *args: Any, **values: Any) -> Markup:
    """Render one macro of macros.html, for HTML that is not a template of its own."""
    macros = _get_environment().get_template("macros.html").module
    return Markup(getattr(macros, name)(*args, **values))


@cache
def _get_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    return environment

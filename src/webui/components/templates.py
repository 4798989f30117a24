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
from webui.languages.catalogue import ENGLISH, get_language, translate
from webui.languages.markup import create_environment

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FILTERS = {
    "bytes": lambda count: translate(format_bytes(count)),
    "clock": format_clock,
    "count": lambda number, thing: translate(format_count(number, thing)),
    "duration": lambda seconds: translate(format_duration(seconds)),
    "timestamp": lambda moment: translate(format_timestamp(moment)),
    "translate": translate,
}


def render(name: str, /, **values: Any) -> Markup:  # Any: whatever the template shows
    """Render the template `name`. Values are escaped, except rendered templates."""
    return Markup(_get_environment(get_language()).get_template(name).render(values))


def render_macro(name: str, /, *args: Any, **values: Any) -> Markup:
    """Render one macro of macros.html, for HTML that is not a template of its own."""
    macros = _get_environment(get_language()).get_template("macros.html").module
    return Markup(getattr(macros, name)(*args, **values))


@cache
def _get_environment(language: str) -> Environment:
    options: dict[str, Any] = {
        "loader": FileSystemLoader(TEMPLATES),
        "autoescape": True,
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "auto_reload": False,
    }
    is_english = language == ENGLISH
    environment = Environment(**options) if is_english else create_environment(language, **options)
    environment.filters.update(FILTERS)
    return environment

"""What the API offers, as a page of our own: the usual ones load their scripts from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

# Any throughout: OpenAPI is plain values.
router = APIRouter()
HTTP_METHODS = ("get", "post", "patch", "put", "delete")


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def read_docs(request: Request) -> HTMLResponse:
    """Show every address of the API, what it takes and what it gives."""
    spec = request.app.openapi()
    text = files("api").joinpath("docs.html").read_text(encoding="utf-8")
    filled = {
        "{about}": html.escape(spec["info"]["description"]),
        "{base}": html.escape(str(request.base_url).rstrip("/") + request.app.state.path),
        "{spec}": html.escape(f"{request.app.state.path}/openapi.json"),
        "{routes}": "\n".join(_render_groups(spec)),
        "{shapes}": "\n".join(_render_schemas(spec)),
    }
    for place, content in filled.items():
        text = text.replace(place, content)
    return HTMLResponse(text)


def _render_groups(spec: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, methods in spec["paths"].items():
        for method in HTTP_METHODS:
            if method in methods:
                what = methods[method]
                group = (what.get("tags") or ["Other"])[0]
                groups.setdefault(group, []).append(_render_route(method, path, what))
    for group, routes in groups.items():
        yield f"<h2>{html.escape(group)}</h2>\n" + "\n".join(routes)


def _render_route(method: str, path: str, what: Mapping[str, Any]) -> str:
    about = html.escape(what.get("description") or what.get("summary", ""))
    rows = [_render_parameter(parameter) for parameter in what.get("parameters", ())]
    body = what.get("requestBody", {}).get("content", {})
    rows += [
        _render_row("body", _render_type(content["schema"]), kind) for kind, content in body.items()
    ]
    for status, answer in what.get("responses", {}).items():
        if status == "422":  # said once, at the top
            continue
        shapes = [
            _render_type(content.get("schema", {}))
            for content in answer.get("content", {}).values()
        ]
        rows.append(_render_row(status, " or ".join(dict.fromkeys(shapes)), answer["description"]))
    return (
        f'<section><h3><span class="method">{method.upper()}</span> {html.escape(path)}</h3>'
        f"<p>{about}</p><table>{''.join(rows)}</table></section>"
    )


def _render_schemas(spec: Mapping[str, Any]) -> Iterator[str]:
    shapes = spec.get("components", {}).get("schemas", {})
    for name, shape in sorted(shapes.items()):
        if name in ("HTTPValidationError", "ValidationError"):
            continue
        about = html.escape(shape.get("description", ""))
        needed = set(shape.get("required", ()))
        rows = [
            _render_row(
                field + (" *" if field in needed else ""),
                _render_type(part),
                _format_constraints(part),
            )
            for field, part in shape.get("properties", {}).items()
        ]
        safe = html.escape(name)
        yield f'<section id="{safe}"><h3>{safe}</h3><p>{about}</p><table>{"".join(rows)}</table>'
        yield "</section>"


def _render_parameter(parameter: Mapping[str, Any]) -> str:
    name = f"{parameter['name']}{' *' if parameter.get('required') else ''}"
    return _render_row(
        name,
        _render_type(parameter["schema"]),
        _format_constraints({**parameter["schema"], **parameter}),
    )


def _render_type(schema: Mapping[str, Any]) -> str:
    """Name a type: a link where it has a section of its own."""
    if "$ref" in schema:
        name = html.escape(str(schema["$ref"]).rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_render_type(one) for one in schema[several])
    if "enum" in schema:
        return " | ".join(html.escape(str(choice)) for choice in schema["enum"])
    if "const" in schema:
        return html.escape(str(schema["const"]))
    if schema.get("type") == "array":
        return f"list of {_render_type(schema.get('items', {}))}"
    if "properties" in schema:
        knobs = "".join(
            _render_row(name, _render_type(part), _format_constraints(part))
            for name, part in schema["properties"].items()
        )
        return f"<details><summary>table</summary><table>{knobs}</table></details>"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else html.escape(str(kind))


def _format_constraints(schema: Mapping[str, Any]) -> str:
    facts = [str(schema["description"])] if schema.get("description") else []
    for key, word in (("minimum", "from"), ("maximum", "to"), ("default", "default")):
        if schema.get(key) not in (None, "", [], {}):
            facts.append(f"{word} {schema[key]}")
    return html.escape(", ".join(facts))


def _render_row(*cells: str) -> str:
    head, *rest = cells
    return f"<tr><th scope='row'>{head}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"

"""JSON schemas of engine and output options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.options import OptionField, list_option_fields
from engines.registry import get_options_class
from studio.schemas.speech import OutputOptions

# Any: JSON schema is plain values.
JSON_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
DOCUMENTED_ENGINE = "tortoise"


def build_engine_options_schema() -> dict[str, Any]:
    """Return the schema of the options of the default engine."""
    return build_options_schema(get_options_class(DOCUMENTED_ENGINE))


def build_output_options_schema() -> dict[str, Any]:
    """Return the schema of the text and output options."""
    return build_options_schema(OutputOptions)


def build_options_schema(cls: type[Any]) -> dict[str, Any]:
    """Return the schema of an options class."""
    return {
        "type": "object",
        "properties": {field.name: _build_property(field) for field in list_option_fields(cls)},
    }


def _build_property(field: OptionField) -> dict[str, Any]:
    info = field.info
    kind = JSON_TYPES[field.plain_type]
    described: dict[str, Any] = {"type": [kind, "null"] if field.optional else kind}
    described["description"] = f"{info.help} ({info.unit})" if info.unit else info.help
    if info.low is not None:
        described["minimum"] = info.low
    if info.high is not None:
        described["maximum"] = info.high
    if info.choices:
        described["enum"] = list(info.choices)
    if field.default is not None:
        described["default"] = field.default
    return described

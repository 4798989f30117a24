"""Knobs as JSON schemas: what the slider shows and the command line says, for programs."""

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
    """Describe the knobs of the usual engine; another engine's are checked when they come."""
    return build_options_schema(get_options_class(DOCUMENTED_ENGINE))


def build_output_options_schema() -> dict[str, Any]:
    """Describe the knobs of the text and the clip."""
    return build_options_schema(OutputOptions)


def build_options_schema(cls: type[Any]) -> dict[str, Any]:
    """Describe the knobs of an options class."""
    return {
        "type": "object",
        "properties": {knob.name: _build_property(knob) for knob in list_option_fields(cls)},
    }


def _build_property(field: OptionField) -> dict[str, Any]:
    knob = field.info
    kind = JSON_TYPES[field.plain_type]
    described: dict[str, Any] = {"type": [kind, "null"] if field.optional else kind}
    described["description"] = f"{knob.help} ({knob.unit})" if knob.unit else knob.help
    if knob.low is not None:
        described["minimum"] = knob.low
    if knob.high is not None:
        described["maximum"] = knob.high
    if knob.choices:
        described["enum"] = list(knob.choices)
    if field.default is not None:
        described["default"] = field.default
    return described

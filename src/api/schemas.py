"""Knobs as JSON schemas: what the slider shows and the command line says, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.knobs import KnobField, knobs_of
from engines.registry import options_class
from studio.speaking import Delivery

# Any: JSON schema is plain values.
TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
DESCRIBED_ENGINE = "tortoise"


def schema_of_options() -> dict[str, Any]:
    """Describe the knobs of the usual engine; another engine's are checked when they come."""
    return schema_of(options_class(DESCRIBED_ENGINE))


def schema_of_delivery() -> dict[str, Any]:
    """Describe the knobs of the text and the clip."""
    return schema_of(Delivery)


def schema_of(cls: type[Any]) -> dict[str, Any]:
    """Describe the knobs of an options class."""
    return {"type": "object", "properties": {knob.name: _property(knob) for knob in knobs_of(cls)}}


def _property(field: KnobField) -> dict[str, Any]:
    knob = field.knob
    kind = TYPES[field.plain_type]
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

"""Options as annotated dataclass fields, declared once for the page, the CLI, the API and the docs.

    temperature: Annotated[float, OptionInfo(0.05, 2.0, 0.05, "Randomness of sampling")] = 0.8

The slider, the command line flag, the HTTP schema and the table in the documentation are made from
this line.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, TypeAlias, cast

from pydantic import GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema

from core.errors import InvalidValueError
from core.serialization import TYPE_NAMES, suggest_similar

# Any: an option's value and default are whatever type its field has.


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """The range, the step of a slider and the meaning of one option."""

    low: float | None = None
    high: float | None = None
    step: float | None = None
    help: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add description, range and choices to the JSON schema of the field's type."""
        facts = {
            "description": f"{self.help} ({self.unit})" if self.unit else self.help,
            "minimum": self.low,
            "maximum": self.high,
            "enum": list(self.choices) or None,
        }
        return handler(schema) | {key: fact for key, fact in facts.items() if fact is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionField:
    """An option with the name, type and default of the dataclass field that holds it."""

    name: str
    type: Any  # the bare type: int, float, bool, str or one of them | None
    default: Any
    info: OptionInfo

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def label(self) -> str:
        """The name on the page."""
        return self.name.replace("_", " ").capitalize()

    @property
    def json_type(self) -> str:
        """The type in JSON schema."""
        names = {bool: "boolean", int: "integer", float: "number", str: "string"}
        return names[self.plain_type]

    @property
    def optional(self) -> bool:
        """Return whether the option may be unset (None)."""
        return type(None) in _get_union_members(self.type)

    @property
    def plain_type(self) -> type:
        """int, float, bool or str."""
        members: list[type] = [
            member for member in _get_union_members(self.type) if member is not type(None)
        ]
        return members[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Values merged from several sources, and the name of the source of each."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]


Layer: TypeAlias = tuple[str, Mapping[str, Any]]
"""The name of a source and the values it sets."""


def merge_layers(layers: Sequence[Layer]) -> Resolved:
    """Merge layers in order: a later one wins over an earlier one."""
    return Resolved(
        values={name: value for _, values in layers for name, value in values.items()},
        sources={name: source for source, values in layers for name in values},
    )


def list_option_fields(cls: type[Any]) -> list[OptionField]:
    """Return the options of a dataclass in the order of its fields."""
    return list(_collect_option_fields(cast(Any, cls)))


@cache
def _collect_option_fields(cls: type[Any]) -> tuple[OptionField, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    found = []
    for field in fields(cls):
        notes = getattr(hints[field.name], "__metadata__", ())
        info = next((note for note in notes if isinstance(note, OptionInfo)), None)
        if info is not None:
            default = field.default if field.default_factory is MISSING else field.default_factory()
            bare = typing.get_args(hints[field.name])[0]
            found.append(OptionField(name=field.name, type=bare, default=default, info=info))
    return tuple(found)


def build_json_schema(cls: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of an options class: types, ranges, defaults, help."""
    return TypeAdapter(cls).json_schema()


def validate_options(options: Any) -> None:
    """Raise ValueError naming the first option whose value has the wrong type or is out of range.

    For the `__post_init__` of an options class.
    """
    for field in _collect_option_fields(cast(Any, type(options))):
        validate_option(field, getattr(options, field.name))


def validate_option(field: OptionField, value: Any) -> None:
    """Raise ValueError when the value does not fit the option."""
    if value is None and field.optional:
        return
    kind, info = field.plain_type, field.info
    if not _is_of_type(value, kind):
        raise InvalidValueError(f"{field.name} is {value!r}; it must be {TYPE_NAMES[kind]}.")
    if info.choices and value not in info.choices:
        raise InvalidValueError(
            f"{field.name} is {value!r}; it must be one of {', '.join(info.choices)}."
            f"{suggest_similar(value, info.choices)}"
        )
    too_low = info.low is not None and value < info.low
    too_high = info.high is not None and value > info.high
    if too_low or too_high:
        unit = f" {info.unit}" if info.unit else ""
        raise InvalidValueError(f"{field.name} is {value}; it must be {_format_range(info)}{unit}.")


def check_option_values(cls: type[Any], values: Mapping[str, Any]) -> None:
    """Raise ValueError for a name that is no option of the class, or a value that does not fit."""
    known = {field.name: field for field in list_option_fields(cls)}
    for name, value in values.items():
        if name not in known:
            hint = suggest_similar(name, list(known)) or f" Known are: {', '.join(known)}."
            raise InvalidValueError(f"There is no option {name!r}.{hint}")
        validate_option(known[name], value)


def _is_of_type(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, kind)


def _format_range(info: OptionInfo) -> str:
    if info.low is None:
        return f"at most {info.high}"
    return f"at least {info.low}" if info.high is None else f"from {info.low} to {info.high}"


def _get_union_members(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)

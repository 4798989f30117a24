"""Options that say what they mean and how far they turn. Declared once, read by every door.

    temperature: Annotated[float, Knob(0.05, 2.0, 0.05, "How freely the draft is drawn")] = 0.8

The slider, the command line flag, the HTTP schema and the table in the documentation all come from
this line.
"""

from __future__ import annotations

import math
import types
import typing
from dataclasses import MISSING, dataclass, fields
from typing import Any

from core.errors import InvalidValueError
from core.serialization import suggest_similar

# Any: a knob's value and default are whatever type its field has.


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """The range, the step of a slider and the meaning of one option."""

    low: float | None = None
    high: float | None = None
    step: float | None = None
    help: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionField:
    """One knob in place: the field that carries it."""

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
    def optional(self) -> bool:
        """Whether the knob may be left unset (None)."""
        return type(None) in _get_union_members(self.type)

    @property
    def plain_type(self) -> type:
        """int, float, bool or str."""
        solid: list[type] = [
            member for member in _get_union_members(self.type) if member is not type(None)
        ]
        return solid[0]


def list_option_fields(cls: type[Any]) -> list[OptionField]:
    """Return the knobs of an options class in the order of its fields."""
    hints = typing.get_type_hints(cls, include_extras=True)
    found = []
    for field in fields(cls):
        hint = hints[field.name]
        knob = next(
            (m for m in getattr(hint, "__metadata__", ()) if isinstance(m, OptionInfo)), None
        )
        if knob is None:
            continue
        default = field.default if field.default_factory is MISSING else field.default_factory()
        bare = typing.get_args(hint)[0]
        found.append(OptionField(name=field.name, type=bare, default=default, info=knob))
    return found


def validate_options(options: Any) -> None:
    """Raise ValueError naming the first knob whose value is of the wrong kind or out of range.

    Meant for `__post_init__` of every options class.
    """
    for field in list_option_fields(type(options)):
        value = getattr(options, field.name)
        if not (value is None and field.optional):
            validate_option(field, value)


def validate_option(field: OptionField, value: Any) -> None:
    """Raise ValueError when the value does not suit the knob."""
    kind, knob = field.plain_type, field.info
    if not _is_of_type(value, kind):
        raise InvalidValueError(f"{field.name} is {value!r}; it must be {_TYPE_NAMES[kind]}.")
    if knob.choices and value not in knob.choices:
        allowed = ", ".join(knob.choices)
        raise InvalidValueError(
            f"{field.name} is {value!r}; it must be one of {allowed}."
            f"{suggest_similar(value, knob.choices)}"
        )
    too_low = knob.low is not None and value < knob.low
    too_high = knob.high is not None and value > knob.high
    if too_low or too_high:
        unit = f" {knob.unit}" if knob.unit else ""
        raise InvalidValueError(f"{field.name} is {value}; it must be {_format_range(knob)}{unit}.")


_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _is_of_type(value: Any, kind: type) -> bool:
    if kind is float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _format_range(knob: OptionInfo) -> str:
    if knob.low is None:
        return f"at most {knob.high}"
    return f"at least {knob.low}" if knob.high is None else f"from {knob.low} to {knob.high}"


def _get_union_members(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)

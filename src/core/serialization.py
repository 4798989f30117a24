"""Convert dataclasses to plain data and back; pydantic checks the types, without coercion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter
from pydantic import ValidationError as PydanticError
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from core.errors import CodedError

# Any throughout: this module is the border between typed values and JSON.

T = TypeVar("T")
TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
SCALARS = {"bool": bool, "int": int, "float": float, "str": str}
"""Core schemas that must not convert a value, by the type that each stands for."""
EXPECTED = {
    **{"bool_type": "true or false", "int_type": "a whole number", "float_type": "a number"},
    **{"string_type": "text", "path_type": "a path", "none_required": "None"},
    **{"dict_type": "a table", "mapping_type": "a table", "dataclass_type": "a table of settings"},
    **{"tuple_type": "a list", "list_type": "a list", "frozen_set_type": "a list"},
}
"""Expected value of a field, by pydantic's error type."""


class ValidationError(CodedError, ValueError):
    """Plain data does not fit the dataclass it is meant for."""

    code = "bad_request"


def to_dict(value: Any) -> Any:
    """Return the value as dicts, lists, strings, numbers, booleans and None only."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_dict(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [to_dict(item) for item in items]
    raise TypeError(f"{type(value).__name__} cannot be serialized")


def from_dict(cls: type[T], data: Any) -> T:
    """Build the dataclass `cls` from plain data.

    Raises ValidationError for an unknown key (suggesting the nearest), a missing one, or a value of
    another type than the field's; what a `__post_init__` raises passes through.
    """
    try:
        validator: SchemaValidator = _get_validator(cast(Any, cls))
        return cast(T, validator.validate_python((data,))[0])
    except PydanticError as cause:
        raise _translate(cls, cause) from cause


def suggest_similar(word: str, known: Sequence[str]) -> str:
    """Return ' Did you mean ...?' for the known word that looks most like `word`, or ''."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


@cache
def _get_validator(cls: type[Any]) -> SchemaValidator:
    wrapped = tuple[cls]  # type: ignore[valid-type]  # a dataclass itself takes no configuration
    schema = TypeAdapter(wrapped, config=ConfigDict(title=cls.__name__)).core_schema
    return SchemaValidator(_make_strict(schema))


def _make_strict(schema: Any) -> Any:
    """Refuse conversion of scalars and unknown keys; lists and tables still become their types.

    pydantic's own strict mode would refuse a dict for a dataclass and a list for a tuple.
    """
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(_make_strict, schema))
    if not isinstance(schema, dict):
        return schema
    made = {key: item if key == "metadata" else _make_strict(item) for key, item in schema.items()}
    if made.get("type") in SCALARS:
        made["strict"] = True
    elif made.get("type") == "dataclass":
        check = core_schema.no_info_before_validator_function
        made["schema"] = check(_check_keys(made["cls"]), made["schema"])
    elif made.get("type") == "union" and all(
        choice["type"] == "dataclass" for choice in made["choices"]
    ):
        made = _make_tagged_union(made["choices"])
    elif made.get("type") == "union":
        kinds = [choice["type"] for choice in made["choices"]]
        names = " or ".join(
            TYPE_NAMES[SCALARS[kind]] if kind in SCALARS else kind for kind in kinds
        )
        made |= {"custom_error_type": "union", "custom_error_message": names}
    return made


def _make_tagged_union(choices: Sequence[Any]) -> Any:
    """Read a table as the dataclass that has most of its keys, so that errors are precise."""
    keys = {
        f"<{choice['cls'].__name__}>": {field.name for field in fields(choice["cls"])}
        for choice in choices
    }

    def choose(data: Any) -> str:
        given = set(data) if isinstance(data, Mapping) else set[str]()
        return max(keys, key=lambda tag: len(given & keys[tag]))

    return core_schema.tagged_union_schema(dict(zip(keys, choices, strict=True)), choose)


def _check_keys(cls: type[Any]) -> Callable[[Any], Any]:
    known = [field.name for field in fields(cls) if field.init]

    def check(data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        for key in data:
            if key not in known:
                hint = suggest_similar(str(key), known) or f" Known are: {', '.join(known)}."
                about = f"no setting {str(key)!r}.{hint}"
                raise PydanticCustomError("unknown_key", "{about}", {"about": about})
        return dict(data)

    return check


def _translate(cls: type[Any], cause: PydanticError) -> Exception:
    """Return the first problem in words, or the error that a `__post_init__` raised."""
    problems = cause.errors(include_url=False)
    first = problems[0]
    kind, value = first["type"], first["input"]
    place = [part for part in first["loc"][1:] if not str(part).startswith("<")]  # tags of unions
    if kind == "value_error":
        raised: Exception = first["ctx"]["error"]
        return raised
    where = _format_place(place) or cls.__name__
    if kind == "unknown_key":
        return ValidationError(f"{f'{where} has' if place else 'There is'} {first['msg']}")
    if kind == "missing":
        missing = [item["loc"][-1] for item in problems if item["type"] == "missing"
                   and item["loc"][:-1] == first["loc"][:-1]]  # fmt: skip
        where = _format_place(place[:-1]) or cls.__name__
        if isinstance(missing[0], str):
            return ValidationError(f"{where} lacks {', '.join(map(str, missing))}.")
        expected = f"a list of {len(value) + len(missing)}"
    elif kind == "too_long":
        expected = f"a list of {first['ctx']['max_length']}"
    elif kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        expected = "a number in range"
    elif kind == "union":
        expected = first["msg"]
    else:
        expected = first.get("ctx", {}).get("expected") or EXPECTED.get(kind) or first["msg"]
    return ValidationError(f"{where} must be {expected}, not {_shorten_repr(value)}.")


def _format_place(place: Sequence[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)[1:]


def _shorten_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

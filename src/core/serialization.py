"""Dataclass to plain dict and back, strictly: nothing is guessed, coerced or ignored."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, cast

from core.errors import CodedError

# Any throughout: this module is the border between typed values and JSON.

T = TypeVar("T")


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
    raise TypeError(f"{type(value).__name__} has no plain form; give it one before storing it")


def from_dict(cls: type[T], data: Any) -> T:
    """Build `cls` from plain data.

    Raises PlainError for an unknown key (suggesting the nearest), a missing one, or a value of
    another type than the field's.
    """
    return cast(T, _read_dataclass(cls, data, where=""))


def suggest_similar(word: str, known: Sequence[str]) -> str:
    """Return ' Did you mean ...?' for the known word that looks most like `word`, or ''."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def _read_dataclass(cls: type[Any], data: Any, where: str) -> Any:
    name = where or cls.__name__
    if not isinstance(data, Mapping):
        raise ValidationError(f"{name} must be a table of settings, not {_shorten_repr(data)}.")
    known = {field.name: field for field in fields(cls) if field.init}
    for key in data:
        if key not in known:
            hint = suggest_similar(str(key), list(known)) or f" Known are: {', '.join(known)}."
            raise ValidationError(f"{name} has no setting {str(key)!r}.{hint}")
    missing = [key for key, field in known.items() if key not in data and _is_required(field)]
    if missing:
        raise ValidationError(f"{name} lacks {', '.join(missing)}.")
    hints = typing.get_type_hints(cls)
    values = {
        key: _read(hints[key], item, f"{where}.{key}" if where else str(key))
        for key, item in data.items()
    }
    return cls(**values)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, where)
    if origin is typing.Literal:
        if value in arguments and any(type(value) is type(choice) for choice in arguments):
            return value
        raise _type_mismatch(where, " or ".join(map(repr, arguments)), value)
    if isinstance(hint, type) and is_dataclass(hint):
        return _read_dataclass(hint, value, where)
    if origin is not None:
        return _read_container(origin, arguments, value, where)
    return _read_scalar(hint, value, where)


def _read_union(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    solid = [choice for choice in choices if choice is not type(None)]
    if len(solid) == 1:
        return _read(solid[0], value, where)
    for choice in solid:
        try:
            return _read(choice, value, where)
        except ValidationError:
            continue
    raise _type_mismatch(where, " or ".join(map(_get_type_name, choices)), value)


def _read_container(origin: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _type_mismatch(where, "a table", value)
        inner = arguments[1]
        return {str(key): _read(inner, item, f"{where}.{key}") for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        raise _type_mismatch(where, "a list", value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise _type_mismatch(where, f"a list of {len(arguments)}", value)
        pairs = zip(arguments, value, strict=True)
        return tuple(_read(hint, item, f"{where}[{i}]") for i, (hint, item) in enumerate(pairs))
    items = [_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if issubclass(origin, (tuple, set, frozenset)):
        return origin(items)
    return items


def _read_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > sys.float_info.max:
            raise _type_mismatch(where, "a number of sane size", value)
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            choices = " or ".join(repr(member.value) for member in hint)
            raise _type_mismatch(where, choices, value) from None
    if hint is type(None):
        hint_fits = value is None
    elif isinstance(value, bool):
        hint_fits = hint is bool
    else:
        hint_fits = isinstance(hint, type) and isinstance(value, hint)
    if not hint_fits:
        raise _type_mismatch(where, _get_type_name(hint), value)
    return value


def _type_mismatch(where: str, wanted: str, value: Any) -> ValidationError:
    return ValidationError(f"{where} must be {wanted}, not {_shorten_repr(value)}.")


def _get_type_name(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint) or str(getattr(hint, "__name__", hint))


def _shorten_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

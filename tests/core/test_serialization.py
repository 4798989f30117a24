"""Dataclasses become JSON and come back equal; anything that does not fit is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.serialization import ValidationError, from_dict, to_dict


class Tint(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Inner:
    ratio: float = 0.5
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    count: Annotated[int, "with a note"] = 1
    maybe: float | None = None
    either: int | str = 0
    loud: bool = False
    tint: Tint = Tint.RED
    mode: Literal["a", "b"] = "a"
    where: Path = Path("x")
    inner: Inner = field(default_factory=Inner)
    many: list[Inner] = field(default_factory=list)
    pair: tuple[int, str] = (1, "one")
    table: Mapping[str, float] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    free: Any = None


inners = st.builds(
    Inner,
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    tags=st.lists(st.text()).map(tuple),
)
outers = st.builds(
    Outer,
    name=st.text(),
    count=st.integers(),
    maybe=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    either=st.integers() | st.text(),
    loud=st.booleans(),
    tint=st.sampled_from(Tint),
    mode=st.sampled_from(["a", "b"]),
    inner=inners,
    many=st.lists(inners, max_size=3),
    pair=st.tuples(st.integers(), st.text()),
    table=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    names=st.frozensets(st.text()),
    free=st.none() | st.integers() | st.lists(st.text()),
)


@settings(deadline=None, max_examples=50)
@given(outers)
def test_what_goes_through_json_comes_back_equal(outer: Outer) -> None:
    assert from_dict(Outer, json.loads(json.dumps(to_dict(outer)))) == outer


def test_absent_keys_take_their_defaults() -> None:
    assert from_dict(Outer, {"name": "n"}) == Outer(name="n")


def test_a_whole_number_serves_where_a_number_is_wanted() -> None:
    outer = from_dict(Outer, {"name": "n", "maybe": 2})
    assert outer.maybe == 2.0 and isinstance(outer.maybe, float)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"name": "n", "cuont": 2}, "There is no setting 'cuont'. Did you mean 'count'?"),
        ({"name": "n", "zzzzz": 2}, "There is no setting 'zzzzz'. Known are: name, count, maybe"),
        ({}, "Outer lacks name."),
        ([1], "Outer must be a table of settings, not [1]."),
        ({"name": 3}, "name must be text, not 3."),
        ({"name": None}, "name must be text, not None."),
        ({"name": "n", "count": "2"}, "count must be a whole number, not '2'."),
        ({"name": "n", "count": 2.0}, "count must be a whole number, not 2.0."),
        ({"name": "n", "count": True}, "count must be a whole number, not True."),
        ({"name": "n", "loud": 1}, "loud must be true or false, not 1."),
        ({"name": "n", "maybe": "x"}, "maybe must be a number, not 'x'."),
        ({"name": "n", "either": 1.5}, "either must be a whole number or text, not 1.5."),
        ({"name": "n", "tint": "pink"}, "tint must be 'red' or 'blue', not 'pink'."),
        ({"name": "n", "mode": "c"}, "mode must be 'a' or 'b', not 'c'."),
        ({"name": "n", "pair": [1]}, "pair must be a list of 2, not [1]."),
        ({"name": "n", "table": {"a": "b"}}, "table.a must be a number, not 'b'."),
        ({"name": "n", "inner": {"ratoi": 1}}, "inner has no setting 'ratoi'."),
        ({"name": "n", "many": [{}, {"tags": "x"}]}, "many[1].tags must be a list, not 'x'."),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(data: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        from_dict(Outer, data)
    assert sentence in str(refusal.value)


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be serialized"):
        to_dict({"x": object()})


def test_a_whole_number_beyond_all_floats_is_refused_where_a_number_is_wanted() -> None:
    with pytest.raises(ValidationError, match="ratio must be a number in range"):
        from_dict(Inner, {"ratio": 10**400})


@dataclass(frozen=True, kw_only=True)
class Circle:
    """One kind of shape."""

    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """Another kind of shape."""

    width: float = 1.0
    sides: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A field of either kind."""

    shape: Circle | Rectangle | None = None


def test_a_field_of_two_kinds_is_read_as_the_kind_whose_keys_it_has() -> None:
    assert from_dict(Drawing, {"shape": {"width": 2.0}}).shape == Rectangle(width=2.0)
    assert from_dict(Drawing, {"shape": {"radius": 3.0}}).shape == Circle(radius=3.0)
    assert from_dict(Drawing, {"shape": None}).shape is None
    with pytest.raises(ValidationError, match=r"^shape\.width must be a number, not 'wide'"):
        from_dict(Drawing, {"shape": {"width": "wide"}})
    with pytest.raises(ValidationError, match=r"^shape has no setting 'widht'"):
        from_dict(Drawing, {"shape": {"sides": [1], "widht": 1.0}})
    with pytest.raises(ValidationError, match=r"^shape must be a table"):
        from_dict(Drawing, {"shape": 5})

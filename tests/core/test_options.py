"""Knobs are read from the options class, and values out of range are refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from core.options import OptionInfo, list_option_fields, validate_options


@dataclass(frozen=True, kw_only=True)
class Options:
    speed: Annotated[float, OptionInfo(0.5, 2.0, 0.1, "How fast", "x")] = 1.0
    samples: Annotated[int, OptionInfo(1, None, 1, "How many drafts")] = 4
    mode: Annotated[str, OptionInfo(help="Which way", choices=("plain", "fancy"))] = "plain"
    loud: Annotated[bool, OptionInfo(help="Whether to shout")] = False
    seed: Annotated[int | None, OptionInfo(0, 9, 1, "Where chance starts")] = None
    names: list[str] = field(default_factory=list)  # no knob

    def __post_init__(self) -> None:
        validate_options(self)


def test_knobs_come_in_the_order_of_the_fields_with_type_and_default() -> None:
    knobs = list_option_fields(Options)
    assert [knob.name for knob in knobs] == ["speed", "samples", "mode", "loud", "seed"]
    assert [knob.plain_type for knob in knobs] == [float, int, str, bool, int]
    assert [knob.default for knob in knobs] == [1.0, 4, "plain", False, None]
    assert [knob.optional for knob in knobs] == [False, False, False, False, True]
    assert knobs[0].flag == "--speed" and knobs[0].info.unit == "x"


@pytest.mark.parametrize(
    "values",
    [{}, {"speed": 2}, {"speed": 0.5, "samples": 10**6}, {"seed": 9}, {"mode": "fancy"}],
)
def test_values_in_range_pass(values: dict[str, Any]) -> None:
    Options(**values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"speed": 2.01}, "speed is 2.01; it must be from 0.5 to 2.0 x"),
        ({"speed": float("nan")}, "speed is nan; it must be a number"),
        ({"speed": "fast"}, "speed is 'fast'; it must be a number"),
        ({"speed": True}, "speed is True; it must be a number"),
        ({"speed": None}, "speed is None; it must be a number"),
        ({"samples": 0}, "samples is 0; it must be at least 1"),
        ({"samples": 1.5}, "samples is 1.5; it must be a whole number"),
        ({"loud": 1}, "loud is 1; it must be true or false"),
        ({"seed": 10}, "seed is 10; it must be from 0 to 9"),
        ({"mode": "fancier"}, "one of plain, fancy. Did you mean 'fancy'?"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as refusal:
        Options(**values)
    assert sentence in str(refusal.value)

from __future__ import annotations

import re

import gradio as gr
import pytest

from engines.knobs import KnobField, knobs_of
from engines.registry import ENGINES, options_class
from studio.speaking import Delivery
from webui.controls import EXACT, control, help_of, name_of, within

FIELDS = [
    field
    for cls in (*(options_class(name) for name in ENGINES), Delivery)
    for field in knobs_of(cls)
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_knob_is_drawn_with_its_range_its_name_and_its_help(field: KnobField) -> None:
    with gr.Blocks(analytics_enabled=False):
        drawn = control(field, "generate", field.default)
    config = drawn.get_config()
    assert config["info"] == help_of(field) and config["label"] == name_of(field)
    assert drawn.elem_id == f"generate-{field.name.replace('_', '-')}"
    knob = field.knob
    if knob.choices:
        assert [value for _, value in config["choices"]] == list(knob.choices)
    elif isinstance(drawn, gr.Number):
        assert f"From {knob.low:,} to {knob.high:,}" in config["info"]
    elif knob.high is not None and knob.high <= EXACT:
        assert (config["minimum"], config["maximum"]) == (knob.low, knob.high)
    assert config["value"] == ("" if field.name == "seed" else field.default)


def test_help_is_one_line_each() -> None:
    assert [
        field.name for field in FIELDS if "\n" in help_of(field) or len(help_of(field)) < 8
    ] == []


def test_help_names_knobs_as_the_page_does() -> None:
    told = {field.name: help_of(field) for field in FIELDS}
    assert "CVVP Weight" in told["slim_latents"] and "Griffin-Lim" in told["vocoder"]
    assert told["volume"].endswith("1 leaves it.") and told["fade_ms"].endswith(", in ms.")
    assert [name for name, words in told.items() if re.search(r"[a-z]_[a-z]|--", words)] == []


def test_half_typed_numbers_are_kept_within_their_sliders_and_nothing_else_is() -> None:
    with gr.Blocks(analytics_enabled=False):
        drawn = [gr.Textbox(), gr.Slider(20, 600), gr.Number(minimum=1)]
    assert "[null, [20, 600], null]" in within(drawn)

from __future__ import annotations

import re

import gradio as gr
import pytest

from core.options import OptionField, list_option_fields
from engines.registry import ENGINES, get_options_class
from studio.schemas.speech import OutputOptions
from webui.components.option_controls import (
    MAX_EXACT_INTEGER,
    build_control,
    clamp_inputs_js,
    format_option_help,
    get_option_label,
)

FIELDS = [
    field
    for cls in (*(get_options_class(name) for name in ENGINES), OutputOptions)
    for field in list_option_fields(cls)
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_knob_is_drawn_with_its_range_its_name_and_its_help(field: OptionField) -> None:
    with gr.Blocks(analytics_enabled=False):
        drawn = build_control(field, "generate", field.default)
    config = drawn.get_config()
    assert config["info"] == format_option_help(field) and config["label"] == get_option_label(
        field
    )
    assert drawn.elem_id == f"generate-{field.name.replace('_', '-')}"
    knob = field.info
    if knob.choices:
        assert [value for _, value in config["choices"]] == list(knob.choices)
    elif isinstance(drawn, gr.Number):
        assert f"From {knob.low:,} to {knob.high:,}" in config["info"]
    elif knob.high is not None and knob.high <= MAX_EXACT_INTEGER:
        assert (config["minimum"], config["maximum"]) == (knob.low, knob.high)
    assert config["value"] == ("" if field.name == "seed" else field.default)


def test_help_is_one_line_each() -> None:
    assert [
        field.name
        for field in FIELDS
        if "\n" in format_option_help(field) or len(format_option_help(field)) < 8
    ] == []


def test_help_names_knobs_as_the_page_does() -> None:
    told = {field.name: format_option_help(field) for field in FIELDS}
    assert "CVVP Weight" in told["slim_latents"] and "Griffin-Lim" in told["vocoder"]
    assert told["volume"].endswith("1: unchanged.") and told["fade_ms"].endswith(", in ms.")
    assert [name for name, words in told.items() if re.search(r"[a-z]_[a-z]|--", words)] == []


def test_half_typed_numbers_are_kept_within_their_sliders_and_nothing_else_is() -> None:
    with gr.Blocks(analytics_enabled=False):
        drawn = [gr.Textbox(), gr.Slider(20, 600), gr.Number(minimum=1)]
    assert "[null, [20, 600], null]" in clamp_inputs_js(drawn)

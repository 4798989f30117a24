"""Options as controls on the page, and values of controls as options."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from core.options import OptionField
from core.paths import quote_for_message

# Any: an option has a value of its own type, and a control gives any.

OPTION_LABELS: Mapping[str, str] = MappingProxyType(
    {  # where the label is not the name in title case
        "check_text": "Check Transcripts",
        "clean": "Cleaning",
        "cond_free": "Guidance (CFG)",
        "cond_free_k": "CFG Scale",
        "cut_hz": "High-pass Filter",
        "cvvp_weight": "CVVP Weight",
        "delimiter": "Line Delimiter",
        "duration": "Line Duration",
        "even_level": "Normalize Loudness",
        "bit_depth": "Bit Depth",
        "fade_in_ms": "Fade In",
        "fade_ms": "Fade",
        "fade_out_ms": "Fade Out",
        "file_name": "File Name",
        "format": "Output Format",
        "half_precision": "Half-Precision",
        "hidden": "LSTM Units",
        "join_below_s": "Join Pauses Below",
        "least_confidence": "Min. Confidence",
        "least_snr_db": "Min. SNR",
        "lora_strength": "LoRA Strength",
        "longest_pause_s": "Max. Pause",
        "longest_s": "Max. Clip Length",
        "loudness": "Loudness Target",
        "low_vram": "Low VRAM",
        "lower_db": "Noise Reduction",
        "margin_s": "Silence Padding",
        "max_codes": "Max Length",
        "most_clipped": "Max. Clipping",
        "most_letters": "Max. Characters",
        "output_rate": "Output Sample Rate",
        "pause_comma_s": "Pause at Commas",
        "pause_none_s": "Pause Between Words",
        "pause_paragraph_s": "Pause Between Paragraphs",
        "pause_s": "Pause Between Lines",
        "pause_section_s": "Pause Between Sections",
        "piece_chars": "Chunk Length",
        "prompt": "Custom Emotion",
        "share": "Weight",
        "shortest_s": "Min. Clip Length",
        "slim_latents": "Smaller Voice Cache",
        "retakes": "Max. Retakes",
        "reverb_s": "Reverb Time",
        "temperature": "Temperature (Stability)",
        "validation_share": "Validation Split",
        "voice_chunk_s": "Max Reference Chunk",
        "volume": "Output Volume",
    }
)
CHOICE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "p": "P (as the original)",
        "ddim": "DDIM",
        "dpm": "DPM++ 2M",
        "ge2e": "GE2E",
        "ge2e_mel": "GE2E mel",
        "peewee": "Pee Wee",
        "peewee_mel": "Pee Wee mel",
        "singer": "Singer identity",
        "singer_mel": "Singer mel",
        "world": "WORLD",
        "auto": "Automatic",
        "univnet": "UnivNet",
        "bigvgan": "BigVGAN",
        "istft": "iSTFT",
        "hifigan": "HiFi-GAN",
        "griffin_lim": "Griffin-Lim",
        "whole": "Whole clips",
        "original": "As the original",
        "chunks": "Chunks of all clips",
        "clip_mean": "Mean of the clips",
        "exact": "Exact",
        "precision.fast": "Fast (as measured here)",
        "band.full": "Full",
        "band.radio": "Radio",
        "band.telephone": "Telephone",
        "loudness.off": "Off",
        "take_check.off": "Off",
        "take_check.fast": "Fast",
        "take_check.strict": "Strict",
        "float32": "32 bits",
        "bfloat16": "16 bits",
        "int8": "8 bits",
        "full": "All of it",
        "published": "As the original",
    }
)
_SNAKE_CASE = re.compile(r"[a-z]+_[a-z_]+")  # names of options and choices in help texts
MAX_EXACT_INTEGER = 2**53
"""Above this a number is not exact in a browser, so the control is a text field."""
FREE_STEP = 0.001  # of the arrows of a number field; any other number can be typed
MAX_SLIDER_STEPS = 512
"""With more steps than this the control is a number field: a slider cannot be set precisely."""


def get_option_label(field: OptionField) -> str:
    """Return the label of an option."""
    return get_name_label(field.name)


def format_preset_label(name: str) -> str:
    """Return the label of a preset."""
    return name.replace("_", " ").title()


def get_name_label(name: str) -> str:
    """Return the label of an option by its name, or of a choice."""
    label = OPTION_LABELS.get(name) or CHOICE_LABELS.get(name)
    return label or name.replace("_", " ").title()


def make_elem_id(tab: str, name: str) -> str:
    """Return the element id of a control: top_p on the tab generate -> generate-top-p."""
    return f"{tab}-{name.replace('_', '-')}"


def build_control(field: OptionField, tab: str, value: Any, *, visible: bool = True) -> Component:
    """Create the control of an option, with its range and help."""
    common: dict[str, Any] = {
        "label": get_option_label(field),
        "info": format_option_help(field),
        "elem_id": make_elem_id(tab, field.name),
        "visible": visible,
    }
    info, kind = field.info, field.plain_type
    if kind is bool:
        return gr.Checkbox(value=value, **common)
    if info.choices:
        return gr.Dropdown(choices=get_option_choices(field), value=value, **common)
    if kind is str or (info.high or 0) > MAX_EXACT_INTEGER:
        return gr.Textbox(value=to_control_value(field, value), max_lines=1, **common)
    limits: dict[str, Any] = {"minimum": info.low, "maximum": info.high, "step": info.step}
    if count_slider_steps(field) > MAX_SLIDER_STEPS:
        # without a range, which Gradio would check with a message of its own
        step = info.step or (FREE_STEP if kind is float else 1)
        return gr.Number(value=value, step=step, **common)
    return gr.Slider(value=value, **limits, **common)


def clamp_inputs_js(components: Sequence[Component]) -> str:
    """Return JavaScript that clamps numbers to the range of their sliders before they are sent.

    Gradio rejects a number outside of the range, as the 1 of a half-typed 150, without naming it.
    """
    ranges = [[c.minimum, c.maximum] if isinstance(c, gr.Slider) else None for c in components]
    return f"(...values) => window.testudo.clamp(values, {json.dumps(ranges)})"


def set_from_table_js(table: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return JavaScript that gives controls the values of the chosen row of a table.

    Its inputs are the choice and the controls, whose names are `names`; a control that the row does
    not name stays as it is. As no server is asked, a button that is pressed at once sends them.
    """
    rows = json.dumps({choice: dict(row) for choice, row in table.items()})
    return (
        f"(chosen, ...values) => {{ const row = ({rows})[chosen] ?? {{}}; "
        f"return {json.dumps(list(names))}.map("
        "(name, index) => (name in row ? row[name] : values[index])); }"
    )


def format_option_help(field: OptionField) -> str:
    """Return what an option does, its unit, and for a number field its range."""
    info, unit = field.info, f" {field.info.unit}" if field.info.unit else ""
    text = _SNAKE_CASE.sub(lambda name: get_name_label(name[0]), info.help)
    if field.plain_type in (bool, str) or (info.high or 0) > MAX_EXACT_INTEGER:
        return f"{text}."
    if count_slider_steps(field) > MAX_SLIDER_STEPS:
        return f"{text}. From {info.low:,} to {info.high:,}{unit}."
    return f"{text}{f', in{unit}' if unit not in ('', ' x') else ''}."


def get_option_choices(field: OptionField) -> list[tuple[str, str]]:
    """Return (label, value) for every choice of an option."""
    return [
        (CHOICE_LABELS.get(f"{field.name}.{choice}") or CHOICE_LABELS.get(choice, choice), choice)
        for choice in field.info.choices
    ]


def count_slider_steps(field: OptionField) -> float:
    """Return the number of steps that a slider for the option would have."""
    info = field.info
    if field.plain_type is float and info.step is None:
        return math.inf
    assert info.low is not None and info.high is not None, f"{field.name} has no range"
    return (info.high - info.low) / (info.step or 1)


def to_control_value(field: OptionField, value: Any) -> Any:
    """Return the value as the control of the option shows it."""
    if (field.info.high or 0) > MAX_EXACT_INTEGER:
        return "" if value is None else str(value)
    return value


def from_control_value(field: OptionField, value: Any) -> Any:
    """Return the value of a control in the type of its option. The range is not checked.

    Raises AppError naming the control where it cannot be converted.
    """
    kind, name = field.plain_type, get_option_label(field)
    if value is None or (isinstance(value, str) and kind is not str and not value.strip()):
        if field.optional:
            return None
        raise AppError(f"{name} is empty. Give a value, or press Reset to defaults.")
    if kind not in (int, float):
        return value
    try:
        # a float holds integers up to 2**53 only
        number = int(value) if isinstance(value, (str, int)) and kind is int else float(value)
    except (ValueError, TypeError, OverflowError):
        raise AppError(
            f"{name} is {quote_for_message(str(value))}; it must be a number.", code="bad_request"
        ) from None
    if kind is float:
        return float(number)
    if isinstance(number, float) and not number.is_integer():
        raise AppError(f"{name} is {value}; it must be a whole number.", code="bad_request")
    return int(number)

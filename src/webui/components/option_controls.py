"""From a knob of an engine to a control on the page, and from what the control gives back again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from core.options import OptionField
from core.paths import quote_for_message

# Any: a knob's value is whatever type its field has, and a control gives what it likes.

OPTION_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "check_text": "Hold Texts to the Sound",
        "clean": "Cleaning",
        "cond_free": "Conditional Free",
        "cond_free_k": "Conditioning-Free K",
        "cut_hz": "Rumble Cut",
        "cvvp_weight": "CVVP Weight",
        "delimiter": "Line Delimiter",
        "diffusion_sampler": "Diffusion Sampler",
        "diffusion_temperature": "Diffusion Temperature",
        "even_level": "Even Loudness",
        "fade_ms": "Fade",
        "format": "Output Format",
        "half_precision": "Half-Precision",
        "join_below_s": "Join Below",
        "least_confidence": "Least Sure",
        "least_snr_db": "Least Voice over Noise",
        "length_penalty": "Length Penalty",
        "longest_pause_s": "Longest Pause",
        "longest_s": "Longest Clip",
        "loudness": "Loudness",
        "low_vram": "Low VRAM",
        "lower_db": "Noise Reduction",
        "margin_s": "Silence Around",
        "max_codes": "Longest Draft",
        "most_clipped": "Most Clipped",
        "most_letters": "Most Letters",
        "output_rate": "Output Sample Rate",
        "pause_s": "Pause Between Lines",
        "pause_size": "Pause Size",
        "piece_chars": "Length of Pieces",
        "prompt": "Custom Emotion",
        "repetition_penalty": "Repetition Penalty",
        "sample_batch_size": "Sample Batch Size",
        "share": "Weight",
        "shortest_s": "Shortest Clip",
        "slim_latents": "Slimmer Computed Latents",
        "top_k": "Top K",
        "top_p": "Top P",
        "typical_mass": "Typical Mass",
        "validation_share": "Share to Judge By",
        "voice_chunk_s": "Voice Latent Max Chunk Size",
        "voice_crop": "Voice Crop",
        "volume": "Output Volume",
    }
)
_SNAKE_CASE = re.compile(r"[a-z]+_[a-z_]+")  # of knobs and choices, as the command line has them
MAX_EXACT_INTEGER = 2**53
"""Above this a browser's number is not exact, so such a knob is typed as text."""
MAX_SLIDER_STEPS = 512
"""A slider with more stops than this cannot be set with a finger; a number is typed instead."""


def get_option_label(field: OptionField) -> str:
    """Name a knob as the page does; the names are those of the studio that people know."""
    return OPTION_LABELS.get(field.name, field.label)


def make_elem_id(tab: str, name: str) -> str:
    """Name a control in the document: top_p on the tab generate -> generate-top-p."""
    return f"{tab}-{name.replace('_', '-')}"


def build_control(field: OptionField, tab: str, value: Any) -> Component:
    """Draw the control of one knob, with its range and its line of help."""
    about: dict[str, Any] = {
        "label": get_option_label(field),
        "info": format_option_help(field),
        "elem_id": make_elem_id(tab, field.name),
    }
    knob, kind = field.info, field.plain_type
    if kind is bool:
        return gr.Checkbox(value=value, **about)
    if knob.choices:
        return gr.Dropdown(choices=get_option_choices(field), value=value, **about)
    if kind is str or (knob.high or 0) > MAX_EXACT_INTEGER:
        return gr.Textbox(value=to_control_value(field, value), max_lines=1, **about)
    limits: dict[str, Any] = {"minimum": knob.low, "maximum": knob.high, "step": knob.step}
    if count_slider_steps(field) > MAX_SLIDER_STEPS:
        # its range is in its help: a component with a range answers in words that are not ours
        return gr.Number(value=value, step=knob.step or 1, **about)
    return gr.Slider(value=value, **limits, **about)


def clamp_inputs_js(components: Sequence[Component]) -> str:
    """Return the script that keeps half-typed numbers within their sliders on the way to us.

    Gradio would refuse the 1 of a 150 before anybody could finish it, and name no control.
    """
    ranges = [[c.minimum, c.maximum] if isinstance(c, gr.Slider) else None for c in components]
    return f"(...given) => window.testudo.within(given, {json.dumps(ranges)})"


def format_option_help(field: OptionField) -> str:
    """Say in one line what the knob does, in what unit, and from where to where it is typed."""
    knob, unit = field.info, f" {field.info.unit}" if field.info.unit else ""
    told = _SNAKE_CASE.sub(
        lambda name: OPTION_LABELS.get(name[0]) or CHOICE_LABELS.get(name[0], name[0]), knob.help
    )
    if field.plain_type in (bool, str) or (knob.high or 0) > MAX_EXACT_INTEGER:
        return f"{told}."
    if count_slider_steps(field) > MAX_SLIDER_STEPS:
        return f"{told}. From {knob.low:,} to {knob.high:,}{unit}."
    return f"{told}{f', in{unit}' if unit not in ('', ' x') else ''}."


def get_option_choices(field: OptionField) -> list[tuple[str, str]]:
    """Return (shown, meant) for every choice of a knob."""
    return [(CHOICE_LABELS.get(choice, choice), choice) for choice in field.info.choices]


CHOICE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "p": "P (as the original)",
        "ddim": "DDIM",
        "dpm": "DPM++ 2M",
        "auto": "Automatic",
        "univnet": "UnivNet",
        "bigvgan": "BigVGAN",
        "hifigan": "HiFi-GAN",
        "griffin_lim": "Griffin-Lim",
        "whole": "Whole clips",
        "original": "As the original",
        "chunks": "Chunks of all clips",
        "clip_mean": "Mean of the clips",
    }
)


def count_slider_steps(field: OptionField) -> float:
    """Count the values that a slider for the knob would have."""
    knob = field.info
    assert knob.low is not None and knob.high is not None, f"{field.name} has no range"
    return (knob.high - knob.low) / (knob.step or 1)


def to_control_value(field: OptionField, value: Any) -> Any:
    """Return the value as the control of the knob shows it."""
    if (field.info.high or 0) > MAX_EXACT_INTEGER:
        return "" if value is None else str(value)
    return value


def from_control_value(field: OptionField, given: Any) -> Any:
    """Return what a control gave as the knob's own type.

    Raises StudioError naming the control when that cannot be; ranges are checked by the request.
    """
    kind, name = field.plain_type, get_option_label(field)
    if given is None or (isinstance(given, str) and kind is not str and not given.strip()):
        if field.optional:
            return None
        raise AppError(f"{name} is empty. Give a value, or press Reset to defaults.")
    if kind not in (int, float):
        return given
    try:
        # what is whole already stays exact: a float holds whole numbers up to 2**53 only
        number = int(given) if isinstance(given, (str, int)) and kind is int else float(given)
    except (ValueError, TypeError, OverflowError):
        raise AppError(
            f"{name} is {quote_for_message(str(given))}; it must be a number.", code="bad_request"
        ) from None
    if kind is float:
        return float(number)
    if isinstance(number, float) and not number.is_integer():
        raise AppError(f"{name} is {given}; it must be a whole number.", code="bad_request")
    return int(number)

"""From a knob of an engine to a control on the page, and from what the control gives back again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from engines.knobs import KnobField
from studio.errors import StudioError
from studio.layout import shown

# Any: a knob's value is whatever type its field has, and a control gives what it likes.

NAMES: Mapping[str, str] = MappingProxyType(
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
_OTHER_NAMES = re.compile(r"[a-z]+_[a-z_]+")  # of knobs and choices, as the command line has them
EXACT = 2**53
"""Above this a browser's number is not exact, so such a knob is typed as text."""
MOST_STOPS = 512
"""A slider with more stops than this cannot be set with a finger; a number is typed instead."""


def name_of(field: KnobField) -> str:
    """Name a knob as the page does; the names are those of the studio that people know."""
    return NAMES.get(field.name, field.label)


def id_of(tab: str, name: str) -> str:
    """Name a control in the document: top_p on the tab generate -> generate-top-p."""
    return f"{tab}-{name.replace('_', '-')}"


def control(field: KnobField, tab: str, value: Any) -> Component:
    """Draw the control of one knob, with its range and its line of help."""
    about: dict[str, Any] = {
        "label": name_of(field),
        "info": help_of(field),
        "elem_id": id_of(tab, field.name),
    }
    knob, kind = field.knob, field.plain_type
    if kind is bool:
        return gr.Checkbox(value=value, **about)
    if knob.choices:
        return gr.Dropdown(choices=choices_of(field), value=value, **about)
    if kind is str or (knob.high or 0) > EXACT:
        return gr.Textbox(value=shown_value(field, value), max_lines=1, **about)
    limits: dict[str, Any] = {"minimum": knob.low, "maximum": knob.high, "step": knob.step}
    if stops_of(field) > MOST_STOPS:
        # its range is in its help: a component with a range answers in words that are not ours
        return gr.Number(value=value, step=knob.step or 1, **about)
    return gr.Slider(value=value, **limits, **about)


def within(components: Sequence[Component]) -> str:
    """Return the script that keeps half-typed numbers within their sliders on the way to us.

    Gradio would refuse the 1 of a 150 before anybody could finish it, and name no control.
    """
    ranges = [[c.minimum, c.maximum] if isinstance(c, gr.Slider) else None for c in components]
    return f"(...given) => window.testudo.within(given, {json.dumps(ranges)})"


def help_of(field: KnobField) -> str:
    """Say in one line what the knob does, in what unit, and from where to where it is typed."""
    knob, unit = field.knob, f" {field.knob.unit}" if field.knob.unit else ""
    told = _OTHER_NAMES.sub(
        lambda name: NAMES.get(name[0]) or WORDS.get(name[0], name[0]), knob.help
    )
    if field.plain_type in (bool, str) or (knob.high or 0) > EXACT:
        return f"{told}."
    if stops_of(field) > MOST_STOPS:
        return f"{told}. From {knob.low:,} to {knob.high:,}{unit}."
    return f"{told}{f', in{unit}' if unit not in ('', ' x') else ''}."


def choices_of(field: KnobField) -> list[tuple[str, str]]:
    """Return (shown, meant) for every choice of a knob."""
    return [(WORDS.get(choice, choice), choice) for choice in field.knob.choices]


WORDS: Mapping[str, str] = MappingProxyType(
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


def stops_of(field: KnobField) -> float:
    """Count the values that a slider for the knob would have."""
    knob = field.knob
    assert knob.low is not None and knob.high is not None, f"{field.name} has no range"
    return (knob.high - knob.low) / (knob.step or 1)


def shown_value(field: KnobField, value: Any) -> Any:
    """Return the value as the control of the knob shows it."""
    if (field.knob.high or 0) > EXACT:
        return "" if value is None else str(value)
    return value


def plain_value(field: KnobField, given: Any) -> Any:
    """Return what a control gave as the knob's own type.

    Raises StudioError naming the control when that cannot be; ranges are checked by the request.
    """
    kind, name = field.plain_type, name_of(field)
    if given is None or (isinstance(given, str) and kind is not str and not given.strip()):
        if field.optional:
            return None
        raise StudioError(f"{name} is empty. Give a value, or press Reset to defaults.")
    if kind not in (int, float):
        return given
    try:
        # what is whole already stays exact: a float holds whole numbers up to 2**53 only
        number = int(given) if isinstance(given, (str, int)) and kind is int else float(given)
    except (ValueError, TypeError, OverflowError):
        raise StudioError(f"{name} is {shown(str(given))}; it must be a number.") from None
    if kind is float:
        return float(number)
    if isinstance(number, float) and not number.is_integer():
        raise StudioError(f"{name} is {given}; it must be a whole number.")
    return int(number)

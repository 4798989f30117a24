"""Drawing the form: few controls at first, every knob of the engine under Advanced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.options import OptionField
from studio.app.studio import Studio
from studio.model_store.bundles import list_models
from studio.model_store.finetunes import AUTO
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import RANDOM_VOICE, list_voices
from webui.components.option_controls import build_control, format_option_help
from webui.generate.form import CUSTOM, GenerateOptionFields
from webui.generate.voice_recorder import is_unsaved_voice

# Any: each control shows a value of its own type.

ELEM_ID_PREFIX = "generate"
SEED, EMOTION = "seed", "emotion"
OPTION_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "How the text is read": ("emotion", "prompt", "delimiter", "piece_chars", "pause_s"),
        "How it is spoken": (
            *("seed", "candidates", "samples", "iterations", "temperature", "pause_size"),
            "diffusion_sampler",
        ),
        "Experimental": (
            *("half_precision", "cond_free", "cvvp_weight", "top_p", "diffusion_temperature"),
            *("length_penalty", "repetition_penalty", "cond_free_k"),
        ),
        "The clip": ("format", "output_rate", "volume", "fade_ms"),
    }
)
OTHER_GROUP = "More of the engine"
OPEN_GROUPS = ("How the text is read", "How it is spoken")
PRESET_LABELS: Mapping[str, str] = MappingProxyType(
    {"ultra_fast": "Ultra Fast", "high_quality": "High Quality", CUSTOM: "My own"}
)


@dataclass(frozen=True, kw_only=True)
class SeedButtons:
    """What stands beside the seed."""

    randomize: gr.Button
    clear: gr.Button


@dataclass(frozen=True, kw_only=True)
class SaveVoiceControls:
    """Where a voice that was made here gets a name."""

    accordion: gr.Accordion
    name: gr.Textbox
    save: gr.Button


def group_options(knobs: GenerateOptionFields) -> Iterator[tuple[str, list[OptionField]]]:
    """Yield the knobs under their headings; one that no heading names comes under the last."""
    by_name = {field.name: field for field in knobs.all}
    for heading, names in OPTION_GROUPS.items():
        yield heading, [by_name.pop(name) for name in names if name in by_name]
    yield OTHER_GROUP, list(by_name.values())


def build_text_input(values: Mapping[str, Any]) -> Component:
    """Draw the field for the text."""
    return gr.Textbox(
        value=values["text"],
        label="Input Prompt",
        info="What to say. Words in [brackets] steer the voice and are not heard.",
        placeholder="Type or paste the text to be spoken.",
        lines=5,
        max_lines=24,
        elem_id="generate-text",
    )


def build_voice_and_preset(
    studio: Studio, values: Mapping[str, Any], knobs: GenerateOptionFields
) -> dict[str, Component]:
    """Draw what is chosen before anything else: voice and preset."""
    with gr.Row():
        voice = gr.Dropdown(
            choices=voice_choices(studio),
            value=values["voice"],
            label="Voice",
            info="A folder under voices/. A blend is typed: clara:0.7+vera:0.3",
            allow_custom_value=True,
            elem_id="generate-voice",
        )
        preset = gr.Dropdown(
            choices=preset_choices(knobs),
            value=values["preset"],
            label="Preset",
            info="How much work goes into it: quick and rough to slow and clean.",
            elem_id="generate-preset",
        )
    microphone = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        label="Microphone Source",
        visible=values["voice"] == MICROPHONE_VOICE,
        elem_id="generate-microphone",
    )
    return {"voice": voice, "preset": preset, "microphone": microphone}


def build_advanced_options(
    studio: Studio, values: Mapping[str, Any], knobs: GenerateOptionFields
) -> tuple[dict[str, Component], SeedButtons]:
    """Draw every knob, group by group."""
    bundle = gr.Dropdown(
        choices=model_choices(studio),
        value=values["bundle"],
        label="Model",
        info="The weights that speak. More are fetched in the tab Settings, or made in Training.",
        allow_custom_value=True,
        elem_id="generate-bundle",
    )
    drawn: dict[str, Component] = {"bundle": bundle}
    seeds: list[SeedButtons] = []
    for heading, fields in group_options(knobs):
        if fields:
            with gr.Accordion(heading, open=heading in OPEN_GROUPS, elem_classes="group"):
                drawn |= {
                    field.name: build_option_control(field, values, seeds) for field in fields
                }
    return drawn, seeds[0]


def build_option_control(
    field: OptionField, values: Mapping[str, Any], seeds: list[SeedButtons]
) -> Component:
    """Draw one knob; the emotions have one more, in the user's own words.

    seeds: takes the buttons that stand beside the seed.
    """
    if field.name == EMOTION:
        return gr.Radio(
            choices=[
                *((word.capitalize(), word) for word in field.info.choices),
                ("Custom", CUSTOM),
            ],
            value=values[field.name],
            label="Emotion",
            info=format_option_help(field),
            elem_id="generate-emotion",
        )
    drawn = build_control(field, ELEM_ID_PREFIX, values[field.name])
    if field.name == SEED:
        seeds.append(build_seed_buttons())
    return drawn


def build_seed_buttons() -> SeedButtons:
    """Draw the two ways to another seed."""
    with gr.Row(elem_classes="seed-buttons"):
        draw = gr.Button("Draw a seed", size="sm", elem_id="generate-seed-draw")
        free = gr.Button("New seed each time", size="sm", elem_id="generate-seed-open")
    return SeedButtons(randomize=draw, clear=free)


def build_save_voice(voice: str) -> SaveVoiceControls:
    """Draw where a recording or a made-up voice is kept; shown only for such a voice."""
    shown = is_unsaved_voice(voice)
    with gr.Accordion(
        "Keep this voice", open=False, visible=shown, elem_id="generate-keep-fold"
    ) as fold:
        name = gr.Textbox(
            label="Name",
            info="What the voice shall be called in the list.",
            max_lines=1,
            elem_id="generate-keep-name",
        )
        keep = gr.Button("Keep", size="sm", elem_id="generate-keep")
    return SaveVoiceControls(accordion=fold, name=name, save=keep)


def voice_choices(studio: Studio) -> list[tuple[str, str]]:
    """List who can speak: the folders, a voice made up, and the microphone."""
    found = [voice.name for voice in list_voices(studio.layout)]
    names = [(name, name) for name in found if name != MICROPHONE_VOICE]
    made_up = ("random (made up from the seed)", RANDOM_VOICE)
    return [*names, made_up, ("microphone (record your own)", MICROPHONE_VOICE)]


def model_choices(studio: Studio) -> list[tuple[str, str]]:
    """List the models that are whole enough to speak, and the one that is chosen by the voice."""
    able = [(bundle.name, bundle.name) for bundle in list_models(studio.layout) if bundle.speaks]
    return [*able, ("auto (best finetune of the voice)", AUTO)]


def preset_choices(knobs: GenerateOptionFields) -> list[tuple[str, str]]:
    """List the presets of the engine, and the one of the user's own."""
    names = [*knobs.presets, CUSTOM]
    return [(PRESET_LABELS.get(name, name.replace("_", " ").title()), name) for name in names]

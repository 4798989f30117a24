"""The controls of the Generate form: a few at first, every engine option under Advanced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.options import OptionField
from studio.app.studio import Studio
from studio.model_store.bundles import list_models
from studio.model_store.finetunes import AUTO, LORA_STRENGTH, has_lora_adapter
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import RANDOM_VOICE, Voice, list_voices
from webui.components.live_panel import EVENT_OPTIONS
from webui.components.option_controls import (
    build_control,
    format_option_help,
    format_preset_label,
)
from webui.generate.form import CUSTOM, GenerateOptionFields

# Any: each control shows a value of its own type.

ELEM_ID_PREFIX = "generate"
OPTION_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Text & pauses": (
            *("emotion", "prompt", "delimiter", "piece_chars", "duration", "pause_s"),
            *("pause_paragraph_s", "pause_section_s", "pause_comma_s", "pause_none_s"),
            "text_cleaning",
        ),
        "Sampling": (*("candidates", "samples", "iterations", "pause_size", "diffusion_sampler"),),
        "Experimental": (
            *("precision", "half_precision", "cond_free", "cvvp_weight", "top_p"),
            *("diffusion_temperature", "length_penalty", "repetition_penalty", "cond_free_k"),
        ),
        "Take check": ("take_check", "retakes"),
        "Output": (
            *("format", "output_rate", "bit_depth", "loudness", "volume", "fade_ms"),
            *("fade_in_ms", "fade_out_ms", "file_name"),
        ),
    }
)
MAIN_OPTIONS = ("speed", "temperature", "seed")  # in view
MODEL_OPTIONS = (LORA_STRENGTH,)  # below the model, where it has them
OTHER_GROUP = "More engine settings"
SEARCH_HTML = (
    '<label class="option-search">Find an option'
    '<input type="search" data-find-option placeholder="Name or effect"></label>'
)
OPEN_GROUPS = ("Text & pauses", "Sampling")


def group_options(fields: GenerateOptionFields) -> Iterator[tuple[str, list[OptionField]]]:
    """Yield (heading, options); options that no heading names come under the last one."""
    shown_before = (*MAIN_OPTIONS, *MODEL_OPTIONS)
    by_name = {field.name: field for field in fields.all if field.name not in shown_before}
    for heading, names in OPTION_GROUPS.items():
        yield heading, [by_name.pop(name) for name in names if name in by_name]
    yield OTHER_GROUP, list(by_name.values())


def build_main_controls(
    studio: Studio, values: Mapping[str, Any], fields: GenerateOptionFields
) -> dict[str, Component]:
    """Create the controls for text, voice and preset."""
    text = gr.Textbox(
        value=values["text"],
        label="Text",
        info="Text to speak. Words in [brackets] set the mood and are not spoken; "
        "[pause:0.8s] is a pause, [duration:3.2s] before a line its length, {HH AH0 L OW1} are "
        "phonemes, and a blank line separates paragraphs.",
        placeholder="Type or paste text.",
        lines=5,
        max_lines=24,
        elem_id="generate-text",
    )
    with gr.Row():
        voice = gr.Dropdown(
            choices=voice_choices(studio),
            value=values["voice"],
            label="Voice",
            info="Choose a voice. To mix: clara:0.7+vera:0.3",
            allow_custom_value=True,
            elem_id="generate-voice",
        )
        preset = gr.Dropdown(
            choices=preset_choices(fields, {}),
            value=values["preset"],
            label="Preset",
            info="Quality vs. speed.",
            elem_id="generate-preset",
        )
    microphone = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        label="Microphone Source",
        visible=values["voice"] == MICROPHONE_VOICE,
        elem_id="generate-microphone",
    )
    knobs: dict[str, Component] = {}
    with gr.Row(elem_classes="knobs"):
        by_name = {field.name: field for field in fields.all}
        for name in MAIN_OPTIONS:
            if name in by_name:
                knobs[name] = build_control(by_name[name], ELEM_ID_PREFIX, values[name])
    return {"text": text, "voice": voice, "preset": preset, "microphone": microphone, **knobs}


def preset_choices(
    fields: GenerateOptionFields, times: Mapping[str, str], base: str = ""
) -> list[tuple[str, str]]:
    """Return the presets to choose from.

    times: how long each takes, such as `about 40 s`;  base: the preset that custom values come
    from, "" where it is not known.
    """
    labels = {name: format_preset_label(name) for name in fields.presets}
    custom = f"Custom (from {labels[base]})" if base in labels else format_preset_label(CUSTOM)
    timed = {
        name: f"{text}, {times[name]}" if times.get(name) else text for name, text in labels.items()
    }
    return [*((label, name) for name, label in timed.items()), (custom, CUSTOM)]


def build_advanced_controls(
    studio: Studio, values: Mapping[str, Any], fields: GenerateOptionFields
) -> tuple[dict[str, Component], gr.Button, gr.Button]:
    """Create the controls that are not in view; returns them, and the buttons that set the seed."""
    buttons = _build_seed_buttons()
    gr.HTML(SEARCH_HTML, elem_id="generate-option-search")
    controls: dict[str, Component] = {
        "bundle": gr.Dropdown(
            choices=model_choices(studio),
            value=values["bundle"],
            label="Model",
            info="Download models in Settings, or finetune one in Training.",
            allow_custom_value=True,
            elem_id="generate-bundle",
        )
    }
    controls |= _build_model_controls(studio, values, fields)
    for heading, options in group_options(fields):
        if options:
            with gr.Accordion(heading, open=heading in OPEN_GROUPS, elem_classes="group"):
                controls |= {
                    one.name: _build_option_control(one, values[one.name]) for one in options
                }
    return controls, *buttons


def _build_model_controls(
    studio: Studio, values: Mapping[str, Any], fields: GenerateOptionFields
) -> dict[str, Component]:
    """Create the controls of options that not every model has; hidden where it has them not."""
    has_adapter = has_lora_adapter(studio.layout, str(values["bundle"]), str(values["voice"]))
    return {
        field.name: build_control(field, ELEM_ID_PREFIX, values[field.name], visible=has_adapter)
        for field in fields.options
        if field.name in MODEL_OPTIONS
    }


def follow_model(studio: Studio, controls: Mapping[str, Any], blocks: Any) -> None:
    """Show the options that not every model has with a model that has them."""
    strength = controls.get(LORA_STRENGTH)
    if strength is None:
        return
    bundle, voice = controls["bundle"], controls["voice"]

    def show(model: str | None, name: str | None) -> Any:
        return gr.update(visible=has_lora_adapter(studio.layout, model or "", name or ""))

    triggers = [voice.change, bundle.change, blocks.load]
    gr.on(triggers, show, [bundle, voice], [strength], **EVENT_OPTIONS)


def build_run_buttons(label: str) -> tuple[gr.Button, gr.Button, gr.Button]:
    """Create the buttons that generate, that stop, and that speak the first sentence only."""
    with gr.Row(elem_classes="run-row"):
        run = gr.Button(label, variant="primary", scale=3, elem_id="generate-run")
        stop = gr.Button("Stop", scale=1, interactive=False, elem_id="generate-stop")
    first = gr.Button(
        "Preview the first sentence", visible=False, size="md", elem_id="generate-first-sentence"
    )
    return run, stop, first


def _build_seed_buttons() -> tuple[gr.Button, gr.Button]:
    with gr.Row(elem_classes="seed-buttons"):
        return (
            gr.Button("Random seed", size="sm", elem_id="generate-seed-draw"),
            gr.Button("Clear (random each time)", size="sm", elem_id="generate-seed-open"),
        )


def _build_option_control(field: OptionField, value: Any) -> Component:
    if field.name != "emotion":
        return build_control(field, ELEM_ID_PREFIX, value)
    return gr.Radio(
        choices=[*((word.capitalize(), word) for word in field.info.choices), ("Custom", CUSTOM)],
        value=value,
        label="Emotion",
        info=format_option_help(field),
        elem_id="generate-emotion",
    )


def voice_choices(studio: Studio) -> list[tuple[str, str]]:
    """Return the voices to choose from: the folders, a random voice, and the microphone.

    The tags of a voice are in its label, so that typing one finds it.
    """
    voices = [voice for voice in list_voices(studio.layout) if voice.name != MICROPHONE_VOICE]
    random = ("random (new voice from the seed)", RANDOM_VOICE)
    return [
        *((_format_voice(voice), voice.name) for voice in voices),
        random,
        ("microphone (record your own)", MICROPHONE_VOICE),
    ]


def _format_voice(voice: Voice) -> str:
    return f"{voice.name} ({', '.join(voice.tags)})" if voice.tags else voice.name


def model_choices(studio: Studio) -> list[tuple[str, str]]:
    """Return the models that can generate speech, and the automatic choice."""
    names = [model.name for model in list_models(studio.layout) if model.speaks]
    return [*((name, name) for name in names), ("auto (best finetune of the voice)", AUTO)]

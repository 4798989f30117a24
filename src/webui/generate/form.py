"""The form of the tab Generate: what its controls mean, and how a clip fills them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from core.options import OptionField, list_option_fields, validate_option
from engines.registry import get_options_class
from studio.app.studio import Studio
from studio.model_store.finetunes import resolve_model_name
from studio.schemas.speech import (
    OutputOptions,
    get_presets,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.request_builder import SpeechRequestInput, resolve_engine_options
from studio.voices.catalog import list_voices
from webui.components.option_controls import from_control_value, get_option_label, to_control_value

# Any throughout: each control has a value of its own type.

CUSTOM = "custom"  # an emotion in one's own words; a preset of one's own
DEFAULT_TEXT = "Good evening, and welcome. This voice was made on this very machine."
UNSAVED_CONTROLS = ("microphone",)  # of a form that is remembered


@dataclass(frozen=True, kw_only=True)
class GenerateOptionFields:
    """Everything that can be turned: of the engine, and of the delivery."""

    options: tuple[OptionField, ...]
    delivery: tuple[OptionField, ...]
    presets: Mapping[str, Mapping[str, Any]]

    @property
    def all(self) -> tuple[OptionField, ...]:
        """The knobs of both."""
        return self.options + self.delivery

    @property
    def preset_option_names(self) -> list[str]:
        """The names of the knobs that some preset turns."""
        return list(dict.fromkeys(name for turned in self.presets.values() for name in turned))


def get_option_fields(engine: str) -> GenerateOptionFields:
    """Return what can be turned when this engine speaks."""
    cls = get_options_class(engine)
    return GenerateOptionFields(
        options=tuple(list_option_fields(cls)),
        delivery=tuple(list_option_fields(OutputOptions)),
        presets=get_presets(cls),
    )


@dataclass(frozen=True, kw_only=True)
class GenerateForm:
    """The controls by name; handlers take and give their values in this order."""

    controls: Mapping[str, Component]
    option_fields: GenerateOptionFields
    engine: str

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def name_values(self, given: Sequence[Any]) -> dict[str, Any]:
        """Put names to the values that a handler was given."""
        return dict(zip(self.controls, given, strict=True))

    def build_updates(self, values: Mapping[str, Any]) -> list[Any]:
        """One update per component: its value, or nothing where none is named."""
        return [values.get(name, gr.skip()) for name in self.controls]

    def build_updates_from_metadata(self, record: TakeMetadata) -> list[Any]:
        """One update per component that shows how a take was spoken."""
        return self.build_updates(get_values_from_metadata(record, self.option_fields, self.engine))


def build_request_input(
    values: Mapping[str, Any], knobs: GenerateOptionFields
) -> SpeechRequestInput:
    """Read the form: everything on it is stated, so nothing is decided behind the user's back.

    Raises StudioError naming the control that is wrong.
    """
    voice = str(values.get("voice") or "").strip()
    if not voice:
        raise AppError("No voice is chosen. Choose one from the list.")
    return SpeechRequestInput(
        text=str(values.get("text") or ""),
        voice=voice,
        options={
            f.name: _parse_option(f, values[f.name]) for f in knobs.options if f.name in values
        },
        delivery={f.name: _parse_option(f, _get_output_value(values, f)) for f in knobs.delivery},
        request_fields={"bundle": str(values["bundle"])} if values.get("bundle") else {},
    )


def get_values_from_metadata(
    record: TakeMetadata, knobs: GenerateOptionFields, engine: str
) -> dict[str, Any]:
    """Return what each control shows for a take; a take of another engine tells only its words."""
    told = {"text": record.text, "voice": record.voice}
    delivery = {"emotion": "none", **record.delivery}
    turned = _get_valid_control_values(delivery, knobs.delivery)
    if turned.get("prompt"):
        turned["emotion"] = CUSTOM
    if record.engine != engine:
        return {**told, **turned}
    options = {**record.options, "seed": record.seed}
    turned |= _get_valid_control_values(options, knobs.options)
    turned["preset"] = find_preset(options, knobs)
    return {**told, "bundle": record.bundle, **turned}


def get_initial_values(studio: Studio) -> dict[str, Any]:
    """Return what the form shows at first: the settings over what the weights advise.

    Where no preset is set it is the quickest, so that the first sound is soon heard; knobs that
    are set win over it, since nobody chose it.
    """
    settings = studio.settings
    knobs = get_option_fields(settings.engine)
    quickest = next(iter(knobs.presets.values()), {})
    names = [voice.name for voice in list_voices(studio.layout)]
    voice = settings.voice or (names[0] if names else "random")
    meant = resolve_model_name(studio.layout, settings.bundle, voice)
    options = get_default_options(studio, meant, {} if settings.preset else quickest)
    usual = settings.output_options
    delivery = {field.name: usual.get(field.name, field.default) for field in knobs.delivery}
    return {
        "text": DEFAULT_TEXT,
        "voice": voice,
        "bundle": settings.bundle,
        "preset": find_preset(options, knobs),
        **_get_control_values(options, knobs.options),
        **_get_control_values(delivery, knobs.delivery),
    }


def get_default_options(studio: Studio, bundle: str, implied: Mapping[str, Any]) -> dict[str, Any]:
    """Return every knob of the engine as it stands when nobody turned one; the seed is open.

    implied: knobs that the page turns by itself, over the advice of the weights.
    """
    settings = studio.settings
    options = resolve_engine_options(settings, studio.layout, bundle, implied=implied)
    return {**options.values, "seed": settings.engine_options.get("seed")}


def find_preset(options: Mapping[str, Any], knobs: GenerateOptionFields) -> str:
    """Name the preset whose knobs all stand so, or say that it is one's own."""
    for name, turned in knobs.presets.items():
        if all(options.get(knob) == value for knob, value in turned.items()):
            return name
    return CUSTOM


def select_saved_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a form is kept for the next visit."""
    return {name: value for name, value in values.items() if name not in UNSAVED_CONTROLS}


def restore_values(
    first: Mapping[str, Any], kept: Any, knobs: GenerateOptionFields
) -> dict[str, Any]:
    """Return the form of the last visit; what does not fit any more is as at first."""
    values = dict(first)
    if not isinstance(kept, Mapping):
        return values
    for name in ("text", "voice", "bundle", "preset", "emotion"):
        if isinstance(kept.get(name), str):
            values[name] = kept[name]
    for field in knobs.all:
        if field.name in kept and field.name != "emotion" and _is_valid(field, kept[field.name]):
            values[field.name] = kept[field.name]
    return values


def _is_valid(field: OptionField, given: Any) -> bool:
    try:
        _parse_option(field, given)
    except AppError:
        return False
    return True


def _parse_option(field: OptionField, given: Any) -> Any:
    """Return what a control says as the knob's value, checked. Raises StudioError naming it."""
    value = from_control_value(field, given)
    if value is None and field.optional:
        return None
    try:
        validate_option(field, value)
    except ValueError as cause:
        raise AppError(str(cause).replace(field.name, get_option_label(field), 1)) from cause
    return value


def _get_output_value(values: Mapping[str, Any], field: OptionField) -> Any:
    own_words = values.get("emotion") == CUSTOM
    if field.name == "emotion":
        return "none" if own_words else values["emotion"]
    if field.name == "prompt":
        return str(values["prompt"] or "") if own_words else ""
    given = values.get(field.name, field.default)
    return given or "" if field.plain_type is str else given


def _get_valid_control_values(
    plain: Mapping[str, Any], fields: Sequence[OptionField]
) -> dict[str, Any]:
    """Leave out what does not fit: a record may come from anyone."""
    return _get_control_values(
        plain, [f for f in fields if f.name in plain and _is_valid(f, plain[f.name])]
    )


def _get_control_values(plain: Mapping[str, Any], fields: Sequence[OptionField]) -> dict[str, Any]:
    return {f.name: to_control_value(f, plain[f.name]) for f in fields if f.name in plain}

"""The form of the Generate tab: from its values to a request, and from a clip to its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from core.errors import AppError
from core.options import OptionField, list_option_fields, validate_option
from engines.registry import get_options_class
from studio.app.studio import Studio
from studio.model_store.finetunes import (
    LORA_STRENGTH,
    has_lora_adapter,
    resolve_model_name,
)
from studio.schemas.speech import (
    OutputOptions,
    SpeechRequest,
    get_presets,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.settings.presets import Preset
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    resolve_engine_options,
)
from studio.voices.catalog import list_voices
from webui.components.option_controls import from_control_value, get_option_label, to_control_value

# Any throughout: each control has a value of its own type.

CUSTOM = "custom"  # an emotion in the user's own words; values that are no preset
DEFAULT_TEXT = "Good evening, and welcome. This voice was made on this very machine."
UNSAVED_CONTROLS = ("microphone",)  # not kept in the browser


@dataclass(frozen=True, kw_only=True)
class GenerateOptionFields:
    """The options of the engine and of the output, and the presets of the engine."""

    options: tuple[OptionField, ...]
    delivery: tuple[OptionField, ...]
    presets: Mapping[str, Mapping[str, Any]]

    @property
    def all(self) -> tuple[OptionField, ...]:
        """The options of both."""
        return self.options + self.delivery

    @property
    def preset_option_names(self) -> list[str]:
        """The names of the options that some preset sets."""
        return list(dict.fromkeys(name for preset in self.presets.values() for name in preset))


def get_option_fields(engine: str) -> GenerateOptionFields:
    """Return the options of the form for an engine."""
    cls = get_options_class(engine)
    return GenerateOptionFields(
        options=tuple(list_option_fields(cls)),
        delivery=tuple(list_option_fields(OutputOptions)),
        presets=get_presets(cls),
    )


@dataclass(frozen=True, kw_only=True)
class GenerateForm:
    """The controls by name; handlers are given their values in this order."""

    controls: Mapping[str, Component]
    option_fields: GenerateOptionFields
    engine: str

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def name_values(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the values of the controls by name."""
        return dict(zip(self.controls, values, strict=True))

    def get_updates(self, values: Mapping[str, Any]) -> dict[Component, Any]:
        """Return {component: value} for values by name; unknown names are left out."""
        return {self.controls[name]: values[name] for name in values if name in self.controls}

    def get_metadata_updates(self, record: TakeMetadata) -> dict[Component, Any]:
        """Return {component: value} that show the settings of a take."""
        return self.get_updates(get_values_from_metadata(record, self.option_fields, self.engine))

    def build_request(self, studio: Studio, values: Sequence[Any]) -> SpeechRequest:
        """Build the request for the values of the controls. Raises AppError naming a control."""
        named = self.name_values(values)
        if not has_lora_adapter(studio.layout, str(named.get("bundle")), str(named.get("voice"))):
            named.pop(LORA_STRENGTH, None)  # of a model that was chosen before; it is hidden
        request_input = build_request_input(named, self.option_fields)
        return build_request(studio.settings, request_input, studio.layout)


def build_request_input(
    values: Mapping[str, Any], fields: GenerateOptionFields
) -> SpeechRequestInput:
    """Return the request of the form with all values. Raises AppError naming a control."""
    voice = str(values.get("voice") or "").strip()
    if not voice:
        raise AppError("No voice is selected. Choose one from the list.")
    return SpeechRequestInput(
        text=str(values.get("text") or ""),
        voice=voice,
        options={
            f.name: _parse_option(f, values[f.name]) for f in fields.options if f.name in values
        },
        delivery={f.name: _parse_option(f, _get_output_value(values, f)) for f in fields.delivery},
        request_fields={"bundle": str(values["bundle"])} if values.get("bundle") else {},
    )


def get_values_from_metadata(
    record: TakeMetadata, fields: GenerateOptionFields, engine: str
) -> dict[str, Any]:
    """Return what each control shows for a take; without engine options for another engine."""
    values: dict[str, Any] = {"text": record.text, "voice": record.voice}
    values |= _get_valid_values({"emotion": "none", **record.delivery}, fields.delivery)
    if values.get("prompt"):
        values["emotion"] = CUSTOM
    if record.engine != engine:
        return values
    options = {**record.options, "seed": record.seed}
    values |= _get_valid_values(options, fields.options)
    return {**values, "bundle": record.bundle, "preset": find_preset(options, fields)}


def get_values_from_preset(preset: Preset, fields: GenerateOptionFields) -> dict[str, Any]:
    """Return what each control shows for a preset of one's own; what it leaves alone is missing."""
    values: dict[str, Any] = _get_valid_values(preset.options, fields.options)
    values |= _get_valid_values(preset.delivery, fields.delivery)
    if values.get("prompt"):
        values["emotion"] = CUSTOM
    values["preset"] = find_preset(preset.options, fields)
    named = {"voice": preset.voice, "bundle": preset.bundle}
    return {**values, **{name: value for name, value in named.items() if value}}


def get_initial_values(studio: Studio) -> dict[str, Any]:
    """Return what the form shows at first: the settings over the defaults of the model."""
    settings = studio.settings
    fields = get_option_fields(settings.engine)
    names = [voice.name for voice in list_voices(studio.layout)]
    voice = settings.voice or (names[0] if names else "random")
    model = resolve_model_name(studio.layout, settings.bundle, voice)
    options = get_default_options(studio, model)
    output = settings.output_options
    delivery = {field.name: output.get(field.name, field.default) for field in fields.delivery}
    return {
        "text": DEFAULT_TEXT,
        "voice": voice,
        "bundle": settings.bundle,
        "preset": find_preset(options, fields),
        **_get_control_values(options, fields.options),
        **_get_control_values(delivery, fields.delivery),
    }


def get_default_options(studio: Studio, bundle: str) -> dict[str, Any]:
    """Return the default of every engine option; the seed is None unless it is in the settings."""
    settings = studio.settings
    options = resolve_engine_options(settings, studio.layout, bundle)
    return {**options.values, "seed": settings.engine_options.get("seed")}


def find_preset(options: Mapping[str, Any], fields: GenerateOptionFields) -> str:
    """Return the preset that has these options, or CUSTOM."""
    for name, preset in fields.presets.items():
        if all(options.get(option) == value for option, value in preset.items()):
            return name
    return CUSTOM


def select_saved_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are kept in the browser."""
    return {name: value for name, value in values.items() if name not in UNSAVED_CONTROLS}


def restore_values(
    first: Mapping[str, Any], kept: Any, fields: GenerateOptionFields
) -> dict[str, Any]:
    """Return the values stored in the browser; invalid ones are taken from `first`."""
    values = dict(first)
    if not isinstance(kept, Mapping):
        return values
    for name in ("text", "voice", "bundle", "preset", "emotion"):
        if isinstance(kept.get(name), str):
            values[name] = kept[name]
    for field in fields.all:
        if field.name in kept and field.name != "emotion" and _is_valid(field, kept[field.name]):
            values[field.name] = kept[field.name]
    return values


def _is_valid(field: OptionField, value: Any) -> bool:
    try:
        _parse_option(field, value)
    except AppError:
        return False
    return True


def _parse_option(field: OptionField, value: Any) -> Any:
    parsed = from_control_value(field, value)
    if parsed is None and field.optional:
        return None
    try:
        validate_option(field, parsed)
    except ValueError as error:
        raise AppError(str(error).replace(field.name, get_option_label(field), 1)) from error
    return parsed


def _get_output_value(values: Mapping[str, Any], field: OptionField) -> Any:
    is_custom = values.get("emotion") == CUSTOM
    if field.name == "emotion":
        return "none" if is_custom else values["emotion"]
    if field.name == "prompt":
        return str(values["prompt"] or "") if is_custom else ""
    value = values.get(field.name, field.default)
    return value or "" if field.plain_type is str else value


def _get_valid_values(plain: Mapping[str, Any], fields: Sequence[OptionField]) -> dict[str, Any]:
    return _get_control_values(
        plain, [f for f in fields if f.name in plain and _is_valid(f, plain[f.name])]
    )


def _get_control_values(plain: Mapping[str, Any], fields: Sequence[OptionField]) -> dict[str, Any]:
    return {f.name: to_control_value(f, plain[f.name]) for f in fields if f.name in plain}

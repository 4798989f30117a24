"""The controls of the settings: what they show, where it comes from, and what was changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from engines.registry import ENGINES, get_options_class
from studio.app.studio import Studio
from studio.diagnostics.system_info import DeviceInfo
from studio.model_store.bundles import list_models
from studio.model_store.finetunes import AUTO
from studio.schemas.settings import SettingField, list_setting_fields
from studio.schemas.speech import get_presets
from studio.settings.sources import COMMAND_LINE, FILE, ResolvedSettings
from studio.voices.catalog import RANDOM_VOICE, list_voices
from webui.components.option_controls import from_control_value, get_option_choices, make_elem_id
from webui.settings.system import SystemInfoCache

# Any: each control has a value of its own type.

ELEM_ID_PREFIX = "settings"
ChoiceList = list[tuple[str, str]]
SOURCE_LABELS: Mapping[str, str] = MappingProxyType(
    {COMMAND_LINE: "from the command line", FILE: "from settings.yaml"}
)
DEFAULT_DEVICE_CHOICES: ChoiceList = [
    ("Automatic: the fastest that is found", "auto"),
    ("Processor", "cpu"),
]
PRESET_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "ultra_fast": "Ultra Fast",
        "fast": "Fast",
        "standard": "Standard",
        "high_quality": "High Quality",
    }
)


@dataclass(frozen=True, kw_only=True)
class SettingsForm:
    """The controls by the name of their setting, in order; seen: the machine, once it was."""

    controls: Mapping[str, Component]
    system_info: SystemInfoCache

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def get_changes(self, held: ResolvedSettings, given: Sequence[Any]) -> dict[str, Any]:
        """Return the settings whose controls say something else than what holds.

        Raises StudioError naming a control that holds no value.
        """
        fields = {item.name: item for item in list_setting_fields()}
        values = {
            name: _parse_setting(fields[name], value)
            for name, value in zip(self.controls, given, strict=True)
        }
        return {
            name: value for name, value in values.items() if value != getattr(held.settings, name)
        }

    def build_updates(self, studio: Studio, held: ResolvedSettings) -> list[Any]:
        """One update per control: its value, its choices and where the value comes from."""
        return [self._update(item, studio, held) for item in _get_ordered_fields(self.controls)]

    def build_default_updates(self) -> list[Any]:
        """One update per control: its default, which is not saved yet."""
        return [gr.update(value=item.field.default) for item in _get_ordered_fields(self.controls)]

    def _update(self, item: SettingField, studio: Studio, held: ResolvedSettings) -> Any:
        value = getattr(held.settings, item.name)
        info = format_setting_help(item, held.source(item.name))
        choices = get_setting_choices(item, studio, value)
        if item.name == "device":
            choices = device_choices(self.system_info.devices, value)
        if choices is None:
            return gr.update(value=value, info=info)
        return gr.update(value=value, info=info, choices=choices)


def build_settings_form(
    studio: Studio, held: ResolvedSettings, seen: SystemInfoCache
) -> SettingsForm:
    """Draw every setting under the heading of its group."""
    groups: dict[str, list[SettingField]] = {}
    for item in list_setting_fields():
        groups.setdefault(item.ui_info.group, []).append(item)
    controls: dict[str, Component] = {}
    for heading, items in groups.items():
        gr.Markdown(f"### {heading}", elem_classes="setting-heading")
        with gr.Group(elem_classes="setting-group"):
            for item in items:
                controls[item.name] = build_setting_control(item, studio, held)
    ordered = {item.name: controls[item.name] for item in list_setting_fields()}
    return SettingsForm(controls=ordered, system_info=seen)


def build_setting_control(item: SettingField, studio: Studio, held: ResolvedSettings) -> Component:
    """Draw the control of one setting."""
    value, field = getattr(held.settings, item.name), item.field
    about: dict[str, Any] = {  # Any: what every kind of control is given
        "label": item.ui_info.label,
        "info": format_setting_help(item, held.source(item.name)),
        "elem_id": make_elem_id(ELEM_ID_PREFIX, item.name),
    }
    choices = get_setting_choices(item, studio, value)
    if choices is not None:
        return gr.Dropdown(choices=choices, value=value, allow_custom_value=True, **about)
    if field.plain_type is bool:
        return gr.Checkbox(value=value, **about)
    if field.plain_type is str:
        return gr.Textbox(value=value, max_lines=1, **about)
    whole = field.plain_type is int
    return gr.Number(
        value=value, precision=0 if whole else None, step=field.info.step or 1, **about
    )


def get_setting_choices(item: SettingField, studio: Studio, value: Any) -> ChoiceList | None:
    """Return (shown, meant) for a setting that is chosen from a list; None for any other."""
    lists: dict[str, Callable[[Studio], ChoiceList]] = {
        "voice": _list_voice_choices,
        "bundle": _list_model_choices,
        "preset": _list_preset_choices,
        "engine": lambda _: [(name.capitalize(), name) for name in ENGINES],
        "device": lambda _: device_choices((), value),
    }
    if item.name in lists:
        found = lists[item.name](studio)
    elif item.field.info.choices:
        found = get_option_choices(item.field)
    else:
        return None
    is_there = any(meant == value for _, meant in found)
    return found if is_there else [*found, (f"{value} (not found)", str(value))]


def device_choices(devices: Sequence[DeviceInfo], value: str) -> ChoiceList:
    """Return the devices that were found, beside automatic and the one that is set.

    Where nobody has looked yet it is the processor, which is always there.
    """
    there = [(f"{one.label} ({one.name})", one.name) for one in devices]
    found = [DEFAULT_DEVICE_CHOICES[0], *(there or DEFAULT_DEVICE_CHOICES[1:])]
    is_there = any(meant == value for _, meant in found)
    return found if is_there else [*found, (f"{value} (not found)", value)]


def format_setting_help(item: SettingField, source: str) -> str:
    """Say what a setting does, its range, where its value comes from, and when it acts."""
    knob = item.field.info
    limits = ""
    if knob.low is not None and knob.high is not None:
        unit = f" {knob.unit}" if knob.unit else ""
        limits = f" From {knob.low:,} to {knob.high:,}{unit}."
    marks = [SOURCE_LABELS.get(source, source)]
    if source == COMMAND_LINE:
        marks.append("a change counts when you start without it")
    if item.ui_info.restart:
        marks.append("needs a restart")
    return f"{knob.help}.{limits} ({'; '.join(marks)})"


def _parse_setting(item: SettingField, given: Any) -> Any:
    if item.field.plain_type is str:
        return str(given or "").strip()
    return from_control_value(item.field, given)


def _get_ordered_fields(controls: Mapping[str, Component]) -> list[SettingField]:
    fields = {item.name: item for item in list_setting_fields()}
    return [fields[name] for name in controls]


def _list_voice_choices(studio: Studio) -> ChoiceList:
    names = [voice.name for voice in list_voices(studio.layout)]
    return [("None", ""), *((name, name) for name in names), ("random: made up", RANDOM_VOICE)]


def _list_model_choices(studio: Studio) -> ChoiceList:
    found = [(bundle.name, bundle.name) for bundle in list_models(studio.layout)]
    return [*found, ("auto: best finetune of the voice", AUTO)]


def _list_preset_choices(studio: Studio) -> ChoiceList:
    known = get_presets(get_options_class(studio.settings.engine))
    return [
        ("As the weights advise", ""),
        *((PRESET_LABELS.get(name, name), name) for name in known),
    ]

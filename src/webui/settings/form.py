"""The controls of the settings: their values, where these come from, and what was changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from engines.registry import get_options_class, list_engines
from studio.app.studio import Studio
from studio.diagnostics.system_info import DeviceInfo
from studio.model_store.bundles import list_models
from studio.model_store.finetunes import AUTO
from studio.schemas.settings import SettingField, list_setting_fields
from studio.schemas.speech import get_presets
from studio.settings.sources import COMMAND_LINE, FILE, ResolvedSettings
from studio.voices.catalog import RANDOM_VOICE, list_voices
from webui.components.option_controls import (
    format_preset_label,
    from_control_value,
    get_option_choices,
    make_elem_id,
)
from webui.languages.catalogue import AUTOMATIC, list_languages
from webui.settings.sections import settings_section
from webui.settings.system import SystemInfoCache

# Any: each control has a value of its own type.

ELEM_ID_PREFIX = "settings"
ChoiceList = list[tuple[str, Any]]
_MEANING_OF_ZERO = re.compile(r"; 0: (.+)$")  # in the help of a number
SOURCE_LABELS: Mapping[str, str] = MappingProxyType(
    {COMMAND_LINE: "from the command line", FILE: "from settings.yaml"}
)
DEFAULT_DEVICE_CHOICES: ChoiceList = [
    ("Automatic (fastest available)", "auto"),
    ("CPU", "cpu"),
]


@dataclass(frozen=True, kw_only=True)
class SettingsForm:
    """The controls by the name of their setting, in order."""

    controls: Mapping[str, Component]
    system_info: SystemInfoCache

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def get_changes(self, resolved: ResolvedSettings, values: Sequence[Any]) -> dict[str, Any]:
        """Return the settings that were changed. Raises AppError naming a control without value."""
        fields = {item.name: item for item in list_setting_fields()}
        parsed = {
            name: _parse_setting(fields[name], value)
            for name, value in zip(self.controls, values, strict=True)
        }
        return {
            name: value
            for name, value in parsed.items()
            if value != getattr(resolved.settings, name)
        }

    def get_updates(self, studio: Studio, resolved: ResolvedSettings) -> dict[Component, Any]:
        """Return updates with the value of each control, its choices and its source."""
        updates = {}
        for item in list_setting_fields():
            value = getattr(resolved.settings, item.name)
            choices = get_setting_choices(item, studio, value)
            if item.name == "device":
                choices = device_choices(self.system_info.devices, value)
            info = format_setting_help(item, resolved.source(item.name))
            offered: dict[str, Any] = {} if choices is None else {"choices": choices}
            updates[self.controls[item.name]] = gr.update(value=value, info=info, **offered)
        return updates

    def get_default_updates(self) -> dict[Component, Any]:
        """Return updates with the default of each control, which are not saved yet."""
        return {
            self.controls[item.name]: gr.update(value=item.field.default)
            for item in list_setting_fields()
        }


def build_settings_form(
    studio: Studio, resolved: ResolvedSettings, system_info: SystemInfoCache
) -> SettingsForm:
    """Create the controls of all settings, in groups."""
    groups: dict[str, list[SettingField]] = {}
    for item in list_setting_fields():
        groups.setdefault(item.ui_info.group, []).append(item)
    controls: dict[str, Component] = {}
    for heading, items in groups.items():
        with settings_section(heading):
            gr.Markdown(f"### {heading}", elem_classes="setting-heading")
            with gr.Group(elem_classes="setting-group"):
                controls |= {i.name: build_setting_control(i, studio, resolved) for i in items}
    ordered = {item.name: controls[item.name] for item in list_setting_fields()}
    return SettingsForm(controls=ordered, system_info=system_info)


def build_setting_control(
    item: SettingField, studio: Studio, resolved: ResolvedSettings
) -> Component:
    """Create the control of one setting."""
    value, field = getattr(resolved.settings, item.name), item.field
    common: dict[str, Any] = {  # Any: arguments of every kind of control
        "label": item.ui_info.label,
        "info": format_setting_help(item, resolved.source(item.name)),
        "elem_id": make_elem_id(ELEM_ID_PREFIX, item.name),
    }
    choices = get_setting_choices(item, studio, value)
    if choices is not None:
        return gr.Dropdown(choices=choices, value=value, allow_custom_value=True, **common)
    if field.plain_type is bool:
        return gr.Checkbox(value=value, **common)
    if field.plain_type is str:
        return gr.Textbox(value=value, max_lines=1, **common)
    whole = field.plain_type is int
    return gr.Number(
        value=value, precision=0 if whole else None, step=field.info.step or 1, **common
    )


def get_setting_choices(item: SettingField, studio: Studio, value: Any) -> ChoiceList | None:
    """Return (label, value) of a setting that is chosen from a list; None for any other."""
    found: ChoiceList
    match item.name:
        case "voice":
            names = [voice.name for voice in list_voices(studio.layout)]
            found = [("None", ""), *((name, name) for name in names)]
            found.append(("random (new voice from the seed)", RANDOM_VOICE))
        case "bundle":
            found = [(model.name, model.name) for model in list_models(studio.layout)]
            found.append(("auto (best finetune of the voice)", AUTO))
        case "preset":
            presets = get_presets(get_options_class(studio.settings.engine))
            found = [("Model default", ""), *((format_preset_label(p), p) for p in presets)]
        case "engine":
            found = [(name.capitalize(), name) for name in list_engines()]
        case "device":
            return device_choices((), value)
        case "language":
            found = [
                ("Automatic", AUTOMATIC),
                *((name, code) for code, name in list_languages().items()),
            ]
        case _ if item.ui_info.common:
            found = _list_common_values(item, value)
        case _ if item.field.info.choices:
            found = get_option_choices(item.field)
        case _:
            return None
    return _add_missing(found, value)


def device_choices(devices: Sequence[DeviceInfo], value: str) -> ChoiceList:
    """Return "auto", the devices that were found (the CPU before that), and the one that is set."""
    found = [(f"{device.label} ({device.name})", device.name) for device in devices]
    return _add_missing([DEFAULT_DEVICE_CHOICES[0], *(found or DEFAULT_DEVICE_CHOICES[1:])], value)


def _list_common_values(item: SettingField, value: Any) -> ChoiceList:
    """Return what 0 stands for, the usual values, and the one that is set; others are typed."""
    unit = f" {item.field.info.unit}" if item.field.info.unit else ""
    meaning = _MEANING_OF_ZERO.search(item.field.info.help)
    assert meaning, f"the help of {item.name} does not say what 0 stands for"
    numbers = sorted({*item.ui_info.common, value} - {0})
    zero = meaning[1][0].upper() + meaning[1][1:]
    return [(zero, 0), *((f"{number:,}{unit}", number) for number in numbers)]


def _add_missing(choices: ChoiceList, value: Any) -> ChoiceList:
    if any(known == value for _, known in choices):
        return choices
    return [*choices, (f"{value} (not found)", str(value))]


def format_setting_help(item: SettingField, source: str) -> str:
    """Return what a setting does, its range, its source, and whether it needs a restart."""
    option = item.field.info
    limits = ""
    if option.low is not None and option.high is not None and not item.ui_info.common:
        unit = f" {option.unit}" if option.unit else ""
        limits = f" From {option.low:,} to {option.high:,}{unit}."
    marks = [SOURCE_LABELS.get(source, source)]
    if source == COMMAND_LINE:
        marks.append("a change applies after a start without it")
    if item.ui_info.restart:
        marks.append("needs a restart")
    text = _MEANING_OF_ZERO.sub("", option.help) if item.ui_info.common else option.help
    return f"{text}.{limits} ({'; '.join(marks)})"


def _parse_setting(item: SettingField, value: Any) -> Any:
    if item.field.plain_type is str:
        return str(value or "").strip()
    return from_control_value(item.field, value)

"""The controls of the settings: what they show, where it comes from, and what was changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from engines.registry import ENGINES, options_class
from studio.finetunes import AUTO
from studio.setting_sources import COMMAND_LINE, FILE, Effective
from studio.settings import SettingField, fields_of_settings
from studio.speaking import presets_of
from studio.studio import Studio
from studio.system import FoundDevice
from studio.voices import RANDOM, list_voices
from studio.weights import list_bundles
from webui.controls import choices_of, id_of, plain_value
from webui.system_panel import Seen

# Any: each control has a value of its own type.

TAB = "settings"
Choices = list[tuple[str, str]]
FROM: Mapping[str, str] = MappingProxyType(
    {COMMAND_LINE: "from the command line", FILE: "from settings.yaml"}
)
FEW_DEVICES: Choices = [("Automatic: the fastest that is found", "auto"), ("Processor", "cpu")]
PRESETS: Mapping[str, str] = MappingProxyType(
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
    seen: Seen

    @property
    def components(self) -> list[Component]:
        """The controls in order."""
        return list(self.controls.values())

    def changed(self, held: Effective, given: Sequence[Any]) -> dict[str, Any]:
        """Return the settings whose controls say something else than what holds.

        Raises StudioError naming a control that holds no value.
        """
        fields = {item.name: item for item in fields_of_settings()}
        values = {
            name: _meant(fields[name], value)
            for name, value in zip(self.controls, given, strict=True)
        }
        return {
            name: value for name, value in values.items() if value != getattr(held.settings, name)
        }

    def shown(self, studio: Studio, held: Effective) -> list[Any]:
        """One update per control: its value, its choices and where the value comes from."""
        return [self._update(item, studio, held) for item in _in_order(self.controls)]

    def defaults(self) -> list[Any]:
        """One update per control: its default, which is not saved yet."""
        return [gr.update(value=item.field.default) for item in _in_order(self.controls)]

    def _update(self, item: SettingField, studio: Studio, held: Effective) -> Any:
        value = getattr(held.settings, item.name)
        info = help_told(item, held.source(item.name))
        choices = choices_for(item, studio, value)
        if item.name == "device":
            choices = device_choices(self.seen.devices, value)
        if choices is None:
            return gr.update(value=value, info=info)
        return gr.update(value=value, info=info, choices=choices)


def draw_settings(studio: Studio, held: Effective, seen: Seen) -> SettingsForm:
    """Draw every setting under the heading of its group."""
    groups: dict[str, list[SettingField]] = {}
    for item in fields_of_settings():
        groups.setdefault(item.about.group, []).append(item)
    controls: dict[str, Component] = {}
    for heading, items in groups.items():
        gr.Markdown(f"### {heading}", elem_classes="setting-heading")
        with gr.Group(elem_classes="setting-group"):
            for item in items:
                controls[item.name] = draw_setting(item, studio, held)
    ordered = {item.name: controls[item.name] for item in fields_of_settings()}
    return SettingsForm(controls=ordered, seen=seen)


def draw_setting(item: SettingField, studio: Studio, held: Effective) -> Component:
    """Draw the control of one setting."""
    value, field = getattr(held.settings, item.name), item.field
    about: dict[str, Any] = {  # Any: what every kind of control is given
        "label": item.about.label,
        "info": help_told(item, held.source(item.name)),
        "elem_id": id_of(TAB, item.name),
    }
    choices = choices_for(item, studio, value)
    if choices is not None:
        return gr.Dropdown(choices=choices, value=value, allow_custom_value=True, **about)
    if field.plain_type is bool:
        return gr.Checkbox(value=value, **about)
    if field.plain_type is str:
        return gr.Textbox(value=value, max_lines=1, **about)
    whole = field.plain_type is int
    return gr.Number(
        value=value, precision=0 if whole else None, step=field.knob.step or 1, **about
    )


def choices_for(item: SettingField, studio: Studio, value: Any) -> Choices | None:
    """Return (shown, meant) for a setting that is chosen from a list; None for any other."""
    lists: dict[str, Callable[[Studio], Choices]] = {
        "voice": _voices,
        "bundle": _bundles,
        "preset": _presets,
        "engine": lambda _: [(name.capitalize(), name) for name in ENGINES],
        "device": lambda _: device_choices((), value),
    }
    if item.name in lists:
        found = lists[item.name](studio)
    elif item.field.knob.choices:
        found = choices_of(item.field)
    else:
        return None
    is_there = any(meant == value for _, meant in found)
    return found if is_there else [*found, (f"{value} (not found)", str(value))]


def device_choices(devices: Sequence[FoundDevice], value: str) -> Choices:
    """Return the devices that were found, beside automatic and the one that is set.

    Where nobody has looked yet it is the processor, which is always there.
    """
    there = [(f"{one.label} ({one.name})", one.name) for one in devices]
    found = [FEW_DEVICES[0], *(there or FEW_DEVICES[1:])]
    is_there = any(meant == value for _, meant in found)
    return found if is_there else [*found, (f"{value} (not found)", value)]


def help_told(item: SettingField, source: str) -> str:
    """Say what a setting does, its range, where its value comes from, and when it acts."""
    knob = item.field.knob
    limits = ""
    if knob.low is not None and knob.high is not None:
        unit = f" {knob.unit}" if knob.unit else ""
        limits = f" From {knob.low:,} to {knob.high:,}{unit}."
    marks = [FROM.get(source, source)]
    if source == COMMAND_LINE:
        marks.append("a change counts when you start without it")
    if item.about.restart:
        marks.append("needs a restart")
    return f"{knob.help}.{limits} ({'; '.join(marks)})"


def _meant(item: SettingField, given: Any) -> Any:
    if item.field.plain_type is str:
        return str(given or "").strip()
    return plain_value(item.field, given)


def _in_order(controls: Mapping[str, Component]) -> list[SettingField]:
    fields = {item.name: item for item in fields_of_settings()}
    return [fields[name] for name in controls]


def _voices(studio: Studio) -> Choices:
    names = [voice.name for voice in list_voices(studio.layout)]
    return [("None", ""), *((name, name) for name in names), ("random: made up", RANDOM)]


def _bundles(studio: Studio) -> Choices:
    found = [(bundle.name, bundle.name) for bundle in list_bundles(studio.layout)]
    return [*found, ("auto: best finetune of the voice", AUTO)]


def _presets(studio: Studio) -> Choices:
    known = presets_of(options_class(studio.settings.engine))
    return [("As the weights advise", ""), *((PRESETS.get(name, name), name) for name in known)]

"""The controls of a chain of effects: a list of presets beside the options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from audio.effects.options import EFFECT_PRESETS, EffectOptions
from core.errors import reraise_as_app_error
from core.options import list_option_fields
from studio.schemas.clip_tools import NO_EFFECTS, merge_effects
from webui.components.live_panel import EVENT_OPTIONS
from webui.components.option_controls import (
    build_control,
    clamp_inputs_js,
    format_preset_label,
    from_control_value,
    set_from_table_js,
    to_control_value,
)

# Any: what Gradio's controls give and take.

NONE, CUSTOM = "none", "custom"
FIELDS = tuple(list_option_fields(EffectOptions))
FIND_PRESET_JS = """\
(...sent) => {
  const table = {table}, values = ({clamp})(...sent);
  const same = (row) => Object.values(row).every((value, index) => value === values[index]);
  return Object.keys(table).find((name) => same(table[name])) ?? '{custom}';
}"""


class EffectControls:
    """Create the two parts where they belong, then bind.  prefix: of the element ids.

    The browser itself keeps preset and options alike: a button that is pressed at once sends what
    was chosen, however slow the connection is.
    """

    def __init__(self, prefix: str, chain: EffectOptions, *, can_be_none: bool) -> None:
        self._prefix, self._chain = prefix, chain
        self._chains = {NONE: NO_EFFECTS} if can_be_none else {}
        self._chains |= {name: merge_effects(name, {}) for name in EFFECT_PRESETS}
        self.preset: gr.Dropdown
        self.options: list[Any] = []

    def create_preset(self) -> None:
        """Create the list of presets."""
        self.preset = gr.Dropdown(
            choices=[(format_preset_label(name), name) for name in (*self._chains, CUSTOM)],
            value=self.find_preset(self._chain),
            label="Effects",
            info="Each sets the options; changing them is a custom chain.",
            elem_id=f"{self._prefix}-preset",
        )

    def create_options(self) -> None:
        """Create a control for every option."""
        for field, value in zip(FIELDS, to_values(self._chain), strict=True):
            self.options.append(build_control(field, self._prefix, value))

    def bind(self) -> None:
        """A preset sets the options; changed options show their preset, or the custom chain."""
        names = [field.name for field in FIELDS]
        table = {
            preset: dict(zip(names, to_values(chain), strict=True))
            for preset, chain in self._chains.items()
        }
        show = set_from_table_js(table, names)
        inputs = [self.preset, *self.options]
        self.preset.input(None, inputs, self.options, js=show, **EVENT_OPTIONS)
        find = FIND_PRESET_JS.replace("{table}", json.dumps(table)).replace("{custom}", CUSTOM)
        find = find.replace("{clamp}", clamp_inputs_js(self.options))
        changes = [control.change for control in self.options]
        gr.on(changes, None, self.options, self.preset, js=find, **EVENT_OPTIONS)

    def find_preset(self, chain: EffectOptions) -> str:
        """Return the preset that is this chain, or the custom one."""
        return next((name for name, known in self._chains.items() if known == chain), CUSTOM)


def to_values(chain: EffectOptions) -> list[Any]:
    """Return what the controls of the options show for a chain."""
    return [to_control_value(field, getattr(chain, field.name)) for field in FIELDS]


def read_chain(values: Sequence[Any]) -> EffectOptions:
    """Return the chain that the controls show. Raises AppError naming what is out of range."""
    named: Mapping[str, Any] = {
        field.name: from_control_value(field, value)
        for field, value in zip(FIELDS, values, strict=True)
    }
    with reraise_as_app_error(ValueError):
        return EffectOptions(**named)

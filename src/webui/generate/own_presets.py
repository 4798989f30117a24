"""Presets of one's own on the Generate tab: apply, save, delete, export, import, per voice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError
from core.files import unique_path, write_text
from core.formatting import format_count
from studio.app.studio import Studio
from studio.settings.presets import (
    Preset,
    delete_preset,
    export_presets,
    find_preset,
    get_voice_preset,
    import_presets,
    read_presets,
    save_preset,
    set_voice_preset,
)
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import note_html, show_errors
from webui.generate.form import GenerateForm, build_request_input, get_values_from_preset

# Any: each control has a value of its own type.


class OwnPresets:
    """The list of presets with its buttons."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        with gr.Accordion("My presets", open=False, elem_id="generate-own-presets"):
            self.chosen = gr.Dropdown(
                choices=self._list_names(),
                value=None,
                allow_custom_value=True,
                label="Preset of mine",
                info="Choosing one sets all options; the text and the seed stay.",
                elem_id="generate-own-preset",
            )
            with gr.Row():
                self.default = gr.Button(
                    "Use it for this voice", size="sm", elem_id="generate-own-default"
                )
                self.delete = gr.Button("Delete preset", size="sm", elem_id="generate-own-delete")
            self.name = gr.Textbox(
                label="Name of a new preset",
                info="Saves the options as they are; an existing preset of the name is replaced.",
                max_lines=1,
                elem_id="generate-own-name",
            )
            self.with_voice = gr.Checkbox(
                value=False, label="With voice and model", elem_id="generate-own-voice"
            )
            with gr.Row():
                self.save = gr.Button("Save preset", size="sm", elem_id="generate-own-save")
                self.export = gr.Button("Export all", size="sm", elem_id="generate-own-export")
            self.file = gr.File(visible=False, label="Exported", elem_id="generate-own-exported")
            self.upload = gr.File(
                label="Import presets",
                file_types=[".yaml", ".yml"],
                height=130,
                elem_id="generate-own-import",
            )
            self.message = gr.HTML("", elem_id="generate-own-message")

    def bind(self, form: GenerateForm, blocks: gr.Blocks) -> None:
        """Connect the events to their handlers."""
        self.form = form
        values, voice = form.components, form.controls["voice"]
        told = [self.message, self.chosen]

        def on(trigger: Any, handler: Any, inputs: Any, outputs: Any) -> None:
            trigger(show_errors(self.message, handler), inputs, outputs, **EVENT_OPTIONS)

        on(self.chosen.input, self.apply, [self.chosen], [self.message, *values])
        on(self.save.click, self.save_current, [self.name, self.with_voice, *values], told)
        on(self.delete.click, self.delete_chosen, [self.chosen], told)
        on(self.default.click, self.set_default, [self.chosen, voice], [self.message])
        on(self.export.click, self.export_all, None, [self.message, self.file])
        on(self.upload.upload, self.import_file, [self.upload], [*told, self.upload])
        on(blocks.load, self.offer, None, told)

    def follow(self, event: Any, voice: Any) -> None:
        """Apply the default preset of a voice after `event`, with which it was chosen."""
        event.then(
            show_errors(self.message, self.apply_default),
            [voice],
            [self.message, self.chosen, *self.form.components],
            **EVENT_OPTIONS,
        )

    def offer(self) -> Updates:
        """Offer the presets that there are now."""
        return {self.chosen: gr.update(choices=self._list_names())}

    def apply(self, name: str | None) -> Updates:
        """Set the options of a preset."""
        if not name:
            return {self.message: ""}
        return self._apply(find_preset(read_presets(self.studio.layout), name), f"{name} applied.")

    def apply_default(self, voice: str | None) -> Updates:
        """Set the options of the default preset of a voice, where it has one."""
        file = read_presets(self.studio.layout)
        preset, name = get_voice_preset(file, voice or ""), file.voices.get(voice or "")
        if preset is None:
            return {self.message: gr.skip()}
        text = f"{name} applied, the preset of {voice}."
        updates = dict(self._apply(preset, text))
        updates.pop(self.form.controls["voice"], None)
        return {**updates, self.chosen: gr.update(choices=self._list_names(), value=name)}

    def save_current(self, name: str, with_voice: bool, *values: Any) -> Updates:
        """Save the options of the form under a name."""
        named = self.form.name_values(values)
        given = build_request_input(named, self.form.option_fields)
        own = {"voice": given.voice or "", "bundle": str(named.get("bundle") or "")}
        preset = Preset(
            engine=self.form.engine,
            options=given.options,
            delivery=given.delivery,
            **(own if with_voice else {}),
        )
        save_preset(self.studio.layout, name or "", preset)
        return self._tell(f"{name.strip()} saved.", name.strip())

    def delete_chosen(self, name: str | None) -> Updates:
        """Delete the chosen preset."""
        delete_preset(self.studio.layout, _require(name))
        return self._tell(f"{name} deleted.", None)

    def set_default(self, name: str | None, voice: str | None) -> Updates:
        """Make the chosen preset the default of the voice in the form."""
        if not voice:
            raise AppError("No voice is selected. Choose one from the list.")
        set_voice_preset(self.studio.layout, voice, name or "")
        text = f"{voice} uses {name} from now on." if name else f"{voice} has no preset any more."
        return {self.message: note_html(text)}

    def export_all(self) -> Updates:
        """Write all presets into a file to download."""
        text = export_presets(self.studio.layout)
        folder = self.studio.layout.state / "page"
        folder.mkdir(parents=True, exist_ok=True)
        path = unique_path(folder / f"testudo-presets-{datetime.now():%Y%m%d}.yaml")
        write_text(path, text)
        return {self.message: "", self.file: gr.update(value=str(path), visible=True)}

    def import_file(self, path: str | None) -> Updates:
        """Add the presets of a file."""
        if not path:
            return {self.message: ""}
        try:
            text = Path(path).read_text(encoding="utf-8")
        except ValueError as cause:
            raise AppError("This file is not text in UTF-8.", code="bad_request") from cause
        names = import_presets(self.studio.layout, text)
        told = f"{format_count(len(names), 'preset')} added: {', '.join(names)}."
        return {**self._tell(told, names[0]), self.upload: None}

    def _apply(self, preset: Preset, text: str) -> Updates:
        if preset.engine != self.form.engine:
            raise AppError(f"This preset is for the engine {preset.engine}.")
        values = get_values_from_preset(preset, self.form.option_fields)
        return {self.message: note_html(text), **self.form.get_updates(values)}

    def _tell(self, text: str, chosen: str | None) -> Updates:
        choices = self._list_names()
        return {
            self.message: note_html(text),
            self.chosen: gr.update(choices=choices, value=chosen),
        }

    def _list_names(self) -> list[str]:
        try:
            return list(read_presets(self.studio.layout).presets)
        except AppError:  # a broken file is reported by what is pressed
            return []


def _require(name: str | None) -> str:
    if not name:
        raise AppError("No preset is selected. Choose one from the list.")
    return name

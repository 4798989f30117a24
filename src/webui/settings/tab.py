"""The Settings tab: the settings, the models and the system."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.diagnostics.updates import read_newest_changes
from studio.schemas.settings import ENGINE_OPTION_NAMES, OUTPUT_OPTION_NAMES, list_setting_fields
from studio.settings.sources import COMMAND_LINE, ResolvedSettings
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import note_html, show_errors
from webui.components.page_context import PageContext
from webui.languages.catalogue import translate
from webui.settings.form import build_settings_form, device_choices
from webui.settings.log import build_log_panel
from webui.settings.models import build_models_panel
from webui.settings.pronunciations import PronunciationsPanel
from webui.settings.sections import build_section_list, settings_section
from webui.settings.storage import build_storage_panel
from webui.settings.system import SystemInfoCache, build_system_panel
from webui.settings.voices import VoicesPanel

# Any: each control has a value of its own type.

HEADING = (
    "Settings are shared by all browsers and stored in **settings.yaml**. Press Save to apply."
)
PANELS = ("Models", "Pronunciations", "Voices", "Backup and space", "Log", "System")
NEWS = "What is new"
GENERATE_FORM_SETTINGS = (*ENGINE_OPTION_NAMES, *OUTPUT_OPTION_NAMES, "voice", "bundle")
"""Settings that the form of the Generate tab shows too; saving sets them there."""


def build_settings_tab(page: PageContext) -> None:
    """Create the tab."""
    groups = dict.fromkeys(item.ui_info.group for item in list_setting_fields())
    changes = read_newest_changes()
    news = [NEWS] if changes else []
    with gr.Row(elem_classes="settings-page"):
        with gr.Column(elem_classes="settings-side"):
            build_section_list([*groups, *PANELS, *news])
        with gr.Column(scale=1, elem_id="settings-body"):
            tab = SettingsTab(page)
            build_panels(page, tab, changes)


def build_panels(page: PageContext, tab: SettingsTab, changes: str) -> None:
    """Create the panels below the form.  changes: of this version, as Markdown, "" for none."""
    models, pronunciations, voices, storage, log, system = PANELS
    with settings_section(models):
        build_models_panel(page)
    with settings_section(pronunciations):
        PronunciationsPanel(page)
    with settings_section(voices):
        VoicesPanel(page)
    with settings_section(storage):
        build_storage_panel(page)
    with settings_section(log):
        build_log_panel(page, tab.system_info)
    with settings_section(system):
        checks = build_system_panel(page, tab.system_info)
    if changes:
        with settings_section(NEWS), gr.Accordion(NEWS, open=False):
            gr.Markdown(changes, elem_id="settings-changes")
    device = tab.form.controls["device"]
    for checked in checks:
        checked.then(tab.get_device_update, None, [device], **EVENT_OPTIONS)


class SettingsTab:
    """The form of the settings, and the buttons that save and reset it."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio, self.system_info = page, page.studio, SystemInfoCache()
        gr.Markdown(HEADING, elem_id="settings-heading")
        self.form = build_settings_form(
            self.studio, get_resolved_settings(self.studio), self.system_info
        )
        self.message = gr.HTML("", elem_id="settings-message")
        with gr.Row(elem_id="settings-actions"):
            save = gr.Button("Save", variant="primary", scale=2, elem_id="settings-save")
            undo = gr.Button("Undo changes", elem_id="settings-undo")
            reset = gr.Button("Reset to defaults", elem_id="settings-reset")
        outputs = [self.message, *self.form.components]
        save.click(
            show_errors(self.message, self._save),
            self.form.components,
            [*outputs, *page.form.components],
            **EVENT_OPTIONS,
        )
        undo.click(self._make_reload("Saved settings loaded."), None, outputs, **EVENT_OPTIONS)
        reset.click(self._reset, None, outputs, **EVENT_OPTIONS)
        page.blocks.load(self._make_reload(""), None, outputs, **EVENT_OPTIONS)

    def _save(self, *values: Any) -> Updates:
        """Save what was changed. A running worker keeps the settings of its start."""
        try:
            changes = self.form.get_changes(self.studio.resolve_settings(), values)
            if not changes:
                return {self.message: note_html("No changes.")}
            defaults = {item.name: item.field.default for item in list_setting_fields()}
            unset = [name for name, value in changes.items() if value == defaults[name]]
            saved = {name: value for name, value in changes.items() if name not in unset}
            resolved = self.studio.change_settings(saved, unset=unset)
        except AppError as error:
            raise replace_setting_names(error) from error
        self.studio.unload()
        shown_in_generate = {
            name: value
            for name, value in changes.items()
            if name in GENERATE_FORM_SETTINGS and value != ""
        }
        return {
            self.message: note_html(format_saved_message(resolved, list(changes))),
            **self.form.get_updates(self.studio, resolved),
            **self.page.form.get_updates(shown_in_generate),
        }

    def _reset(self) -> Updates:
        note = note_html("Defaults loaded. Press Save to apply.")
        return {self.message: note, **self.form.get_default_updates()}

    def _make_reload(self, note: str) -> Any:
        def reload() -> Updates:
            resolved = self.studio.reload_settings()
            return {self.message: note_html(note), **self.form.get_updates(self.studio, resolved)}

        return show_errors(self.message, reload)

    def get_device_update(self) -> Any:
        """Return the choices of the device, once the devices are known."""
        value = get_resolved_settings(self.studio).settings.device
        return gr.update(choices=device_choices(self.system_info.devices, value))


def get_resolved_settings(studio: Studio) -> ResolvedSettings:
    """Return the settings; those of the start where the file cannot be used any more."""
    try:
        return studio.reload_settings()
    except AppError:
        return ResolvedSettings(
            settings=studio.settings, file_values={}, command_line_values=studio.command_line_values
        )


def format_saved_message(resolved: ResolvedSettings, names: list[str]) -> str:
    """Return that settings were saved, and which of them do not apply yet."""
    changed = [item for item in list_setting_fields() if item.name in names]
    words = ["Saved."]
    restart = [translate(item.ui_info.label) for item in changed if item.ui_info.restart]
    if restart:
        words.append(f"After a restart: {', '.join(restart)}.")
    overridden = [
        translate(item.ui_info.label)
        for item in changed
        if resolved.source(item.name) == COMMAND_LINE
    ]
    if overridden:
        words.append(f"Overridden by the command line: {', '.join(overridden)}.")
    return " ".join(words)


def replace_setting_names(error: AppError) -> AppError:
    """Return the error with the label of a setting instead of its name."""
    message = str(error)
    for item in list_setting_fields():
        message = message.replace(f" {item.name} is ", f" {item.ui_info.label} is ", 1)
    return AppError(message, code=error.code)

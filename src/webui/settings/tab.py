"""The tab Settings: what holds, where it comes from, and what this machine is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.schemas.settings import ENGINE_OPTION_NAMES, OUTPUT_OPTION_NAMES, list_setting_fields
from studio.settings.sources import COMMAND_LINE, ResolvedSettings
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext
from webui.settings.form import SettingsForm, build_settings_form, device_choices
from webui.settings.models import build_models_panel
from webui.settings.system import SystemInfoCache, build_system_panel

# Any: each control has a value of its own type.

WELCOME = (
    "What you set here holds for every browser and is kept in **settings.yaml**. "
    "Nothing is saved until you press Save."
)
GENERATE_FORM_SETTINGS = (*ENGINE_OPTION_NAMES, *OUTPUT_OPTION_NAMES, "voice", "bundle")
"""Settings that the form of Generate shows too, and takes over when they are saved."""


@dataclass(frozen=True, kw_only=True)
class SettingsTab:
    """The settings on the page, and whom to tell of a change."""

    studio: Studio
    form: SettingsForm
    message: gr.HTML
    page: PageContext

    @property
    def outputs(self) -> list[Any]:
        """The outputs of a handler: the message, the settings, and the form of Generate."""
        return [self.message, *self.form.components, *self.page.form.components]

    def build_outputs(
        self,
        message: str,
        settings: list[Any] | None = None,
        generate: dict[str, Any] | None = None,
    ) -> list[Any]:
        """What such a handler returns."""
        kept = [gr.skip()] * len(self.form.components)
        return [message, *(settings or kept), *self.page.form.build_updates(generate or {})]


def build_settings_tab(page: PageContext) -> None:
    """Draw the tab and wire it."""
    studio = page.studio
    gr.Markdown(WELCOME, elem_id="settings-heading")
    seen = SystemInfoCache()
    form = build_settings_form(studio, get_resolved_settings(studio), seen)
    message = gr.HTML("", elem_id="settings-message")
    with gr.Row(elem_id="settings-actions"):
        save = gr.Button("Save", variant="primary", scale=2, elem_id="settings-save")
        undo = gr.Button("Undo changes", elem_id="settings-undo")
        reset = gr.Button("Reset to defaults", elem_id="settings-reset")
    tab = SettingsTab(studio=studio, form=form, message=message, page=page)
    save.click(_make_save_handler(tab), form.components, tab.outputs, **EVENT_OPTIONS)
    undo.click(
        _make_reload_handler(tab, "This is what is saved."), None, tab.outputs, **EVENT_OPTIONS
    )
    reset.click(
        lambda: tab.build_outputs(
            note_html("These are the defaults. Press Save to keep them."),
            form.build_default_updates(),
        ),
        None,
        tab.outputs,
        **EVENT_OPTIONS,
    )
    page.blocks.load(_make_reload_handler(tab, ""), None, tab.outputs, **EVENT_OPTIONS)
    build_models_panel(page)

    def name_devices() -> Any:
        return gr.update(
            choices=device_choices(seen.devices, get_resolved_settings(studio).settings.device)
        )

    for looked in build_system_panel(page, seen):
        looked.then(name_devices, None, [form.controls["device"]], **EVENT_OPTIONS)


def get_resolved_settings(studio: Studio) -> ResolvedSettings:
    """Return the settings that hold; those of the start, where the file has since been broken."""
    try:
        return studio.reload_settings()
    except AppError:
        return ResolvedSettings(
            settings=studio.settings, file_values={}, command_line_values=studio.command_line_values
        )


def save_changes(tab: SettingsTab, given: tuple[Any, ...]) -> list[Any]:
    """Save what was changed, and say what has to wait for a restart."""
    studio = tab.studio
    before = studio.resolve_settings()
    changes = tab.form.get_changes(before, given)
    if not changes:
        return tab.build_outputs(note_html("Nothing was changed."))
    defaults = {item.name: item.field.default for item in list_setting_fields()}
    usual = [name for name, value in changes.items() if value == defaults[name]]
    kept = {name: value for name, value in changes.items() if name not in usual}
    held = studio.change_settings(kept, unset=usual)
    studio.unload()  # a worker knows the settings of its start; one that works goes on with them
    followed = {
        name: value
        for name, value in changes.items()
        if name in GENERATE_FORM_SETTINGS and value != ""
    }
    return tab.build_outputs(
        note_html(format_saved_message(held, list(changes))),
        tab.form.build_updates(studio, held),
        followed,
    )


def format_saved_message(held: ResolvedSettings, names: list[str]) -> str:
    """Say that something was saved, and when it acts."""
    labels = {item.name: item.ui_info.label for item in list_setting_fields()}
    late = [
        item.ui_info.label
        for item in list_setting_fields()
        if item.ui_info.restart and item.name in names
    ]
    over = [labels[name] for name in names if held.source(name) == COMMAND_LINE]
    words = ["Saved."]
    if late:
        words.append(f"At the next start of the studio: {', '.join(late)}.")
    if over:
        words.append(f"The command line still wins for: {', '.join(over)}.")
    return " ".join(words)


def _make_save_handler(tab: SettingsTab) -> Callable[..., list[Any]]:
    def press(*given: Any) -> list[Any]:
        try:
            return save_changes(tab, given)
        except AppError as cause:
            return tab.build_outputs(error_html(replace_setting_names(cause)))

    return press


def replace_setting_names(cause: AppError) -> AppError:
    """Call a setting in a refusal as the page calls it."""
    told = str(cause)
    for item in list_setting_fields():
        told = told.replace(f" {item.name} is ", f" {item.ui_info.label} is ", 1)
    return AppError(told)


def _make_reload_handler(tab: SettingsTab, words: str) -> Callable[[], list[Any]]:
    def show() -> list[Any]:
        try:
            held = tab.studio.reload_settings()
        except AppError as cause:
            return tab.build_outputs(error_html(cause))
        return tab.build_outputs(note_html(words), tab.form.build_updates(tab.studio, held))

    return show

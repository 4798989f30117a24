"""The tab Settings: what holds, where it comes from, and what this machine is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.setting_sources import COMMAND_LINE, Effective
from studio.settings import DELIVERY_KNOBS, ENGINE_KNOBS, fields_of_settings
from studio.studio import Studio
from webui.messages import note, refusal
from webui.models_panel import build_models
from webui.page import QUIET, Page
from webui.settings_form import SettingsForm, device_choices, draw_settings
from webui.system_panel import Seen, build_system

# Any: each control has a value of its own type.

WELCOME = (
    "What you set here holds for every browser and is kept in **settings.yaml**. "
    "Nothing is saved until you press Save."
)
FOLLOWED = (*ENGINE_KNOBS, *DELIVERY_KNOBS, "voice", "bundle")
"""Settings that the form of Generate shows too, and takes over when they are saved."""


@dataclass(frozen=True, kw_only=True)
class Tab:
    """The settings on the page, and whom to tell of a change."""

    studio: Studio
    form: SettingsForm
    message: gr.HTML
    page: Page

    @property
    def telling(self) -> list[Any]:
        """The outputs of a handler: the message, the settings, and the form of Generate."""
        return [self.message, *self.form.components, *self.page.form.components]

    def told(
        self,
        message: str,
        settings: list[Any] | None = None,
        generate: dict[str, Any] | None = None,
    ) -> list[Any]:
        """What such a handler returns."""
        kept = [gr.skip()] * len(self.form.components)
        return [message, *(settings or kept), *self.page.form.filled(generate or {})]


def build(page: Page) -> None:
    """Draw the tab and wire it."""
    studio = page.studio
    gr.Markdown(WELCOME, elem_id="settings-heading")
    seen = Seen()
    form = draw_settings(studio, held_by(studio), seen)
    message = gr.HTML("", elem_id="settings-message")
    with gr.Row(elem_id="settings-actions"):
        save = gr.Button("Save", variant="primary", scale=2, elem_id="settings-save")
        undo = gr.Button("Undo changes", elem_id="settings-undo")
        reset = gr.Button("Reset to defaults", elem_id="settings-reset")
    tab = Tab(studio=studio, form=form, message=message, page=page)
    save.click(_saver(tab), form.components, tab.telling, **QUIET)
    undo.click(_shower(tab, "This is what is saved."), None, tab.telling, **QUIET)
    reset.click(
        lambda: tab.told(note("These are the defaults. Press Save to keep them."), form.defaults()),
        None,
        tab.telling,
        **QUIET,
    )
    page.blocks.load(_shower(tab, ""), None, tab.telling, **QUIET)
    build_models(page)

    def name_devices() -> Any:
        return gr.update(choices=device_choices(seen.devices, held_by(studio).settings.device))

    for looked in build_system(page, seen):
        looked.then(name_devices, None, [form.controls["device"]], **QUIET)


def held_by(studio: Studio) -> Effective:
    """Return the settings that hold; those of the start, where the file has since been broken."""
    try:
        return studio.reload_settings()
    except StudioError:
        return Effective(settings=studio.settings, stated={}, given=studio.given)


def save(tab: Tab, given: tuple[Any, ...]) -> list[Any]:
    """Save what was changed, and say what has to wait for a restart."""
    studio = tab.studio
    before = studio.effective()
    changes = tab.form.changed(before, given)
    if not changes:
        return tab.told(note("Nothing was changed."))
    defaults = {item.name: item.field.default for item in fields_of_settings()}
    usual = [name for name, value in changes.items() if value == defaults[name]]
    kept = {name: value for name, value in changes.items() if name not in usual}
    held = studio.change_settings(kept, unset=usual)
    studio.unload()  # a worker knows the settings of its start; one that works goes on with them
    followed = {name: value for name, value in changes.items() if name in FOLLOWED and value != ""}
    return tab.told(note(saved_told(held, list(changes))), tab.form.shown(studio, held), followed)


def saved_told(held: Effective, names: list[str]) -> str:
    """Say that something was saved, and when it acts."""
    labels = {item.name: item.about.label for item in fields_of_settings()}
    late = [
        item.about.label
        for item in fields_of_settings()
        if item.about.restart and item.name in names
    ]
    over = [labels[name] for name in names if held.source(name) == COMMAND_LINE]
    words = ["Saved."]
    if late:
        words.append(f"At the next start of the studio: {', '.join(late)}.")
    if over:
        words.append(f"The command line still wins for: {', '.join(over)}.")
    return " ".join(words)


def _saver(tab: Tab) -> Callable[..., list[Any]]:
    def press(*given: Any) -> list[Any]:
        try:
            return save(tab, given)
        except StudioError as cause:
            return tab.told(refusal(named(cause)))

    return press


def named(cause: StudioError) -> StudioError:
    """Call a setting in a refusal as the page calls it."""
    told = str(cause)
    for item in fields_of_settings():
        told = told.replace(f" {item.name} is ", f" {item.about.label} is ", 1)
    return StudioError(told)


def _shower(tab: Tab, words: str) -> Callable[[], list[Any]]:
    def show() -> list[Any]:
        try:
            held = tab.studio.reload_settings()
        except StudioError as cause:
            return tab.told(refusal(cause))
        return tab.told(note(words), tab.form.shown(tab.studio, held))

    return show

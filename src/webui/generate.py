"""The tab Generate: text and voice in, speech out. Handlers translate; the studio does the work."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.requests import request_of
from studio.speaking import SpeakRequest
from studio.studio import Studio
from studio.tags import read_record
from webui.actions import answer
from webui.form import (
    MICROPHONE,
    GenerateForm,
    first_values,
    knobs_for,
    preset_of,
    remembered,
    restored,
    usual_options,
    wish_of,
)
from webui.form_view import SeedButtons, draw_advanced, draw_choices, draw_text, voice_choices
from webui.job_panel import JobPanel, draw_panel, follow, news
from webui.messages import note, refusal
from webui.page import QUIET, Page
from webui.painted import Painted, draw_painted
from webui.preview_view import preview_of

# Any: each control has a value of its own type.

STORAGE, SECRET = "testudo-generate", "no secret: it lies in the browser of its owner"
WATCH_S = 3.0  # between two looks into the folder of voices


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    form: GenerateForm
    panel: JobPanel
    message: gr.HTML
    preview: Painted
    run: gr.Button
    stop: gr.Button
    reset: gr.Button
    seed_buttons: SeedButtons
    drop: gr.File

    def told(self, message: str, form: Sequence[Any] | None = None) -> list[Any]:
        """What a handler returns that says something, and where asked fills the form."""
        return [message, *(form or [gr.skip()] * len(self.form.components))]

    @property
    def telling(self) -> list[Any]:
        """The outputs for `told`."""
        return [self.message, *self.form.components]


def build(page: Page) -> None:
    """Draw the tab and wire it."""
    tab = _draw(page.studio)
    page.form, page.panel = tab.form, tab.panel
    follow(tab.panel, page.studio, page.blocks)
    _wire_running(tab)
    _wire_form(tab)
    _wire_memory(tab, page.blocks)
    _wire_clips(tab)


def _draw(studio: Studio) -> Tab:
    values, knobs = first_values(studio), knobs_for(studio.settings.engine)
    with gr.Row(elem_classes="generate"):
        with gr.Column(scale=5, min_width=320, elem_classes="asking"):
            controls = {"text": draw_text(values), **draw_choices(studio, values, knobs)}
            with gr.Row(elem_classes="run-row"):
                run = gr.Button("Generate", variant="primary", scale=3, elem_id="generate-run")
                stop = gr.Button("Stop", scale=1, elem_id="generate-stop")
            message = gr.HTML("", elem_id="generate-message")
            preview = draw_painted("generate-preview")
            with gr.Accordion("Advanced", open=False, elem_id="generate-advanced"):
                drawn, seed_buttons = draw_advanced(studio, values, knobs)
                reset = gr.Button("Reset to defaults", size="sm", elem_id="generate-reset")
            drop = gr.File(
                label="Drop a clip of ours here to use its settings",
                file_types=["audio"],
                height=90,
                elem_id="generate-drop",
            )
        with gr.Column(scale=6, min_width=320, elem_classes="hearing"):
            panel = draw_panel()
    form = GenerateForm(controls={**controls, **drawn}, knobs=knobs, engine=studio.settings.engine)
    return Tab(
        studio=studio,
        form=form,
        panel=panel,
        message=message,
        preview=preview,
        run=run,
        stop=stop,
        reset=reset,
        seed_buttons=seed_buttons,
        drop=drop,
    )


def request_from(studio: Studio, form: GenerateForm, given: Sequence[Any]) -> SpeakRequest:
    """Translate what the controls hold into a request. Raises StudioError naming what is wrong."""
    values = form.named(given)
    return request_of(studio.settings, wish_of(values, form.knobs), studio.layout)


def _wire_running(tab: Tab) -> None:
    """Generate, Stop, and the buttons of the jobs."""
    studio, panel = tab.studio, tab.panel

    def run(*given: Any) -> list[Any]:
        try:
            studio.submit(request_from(studio, tab.form, given))
        except StudioError as cause:
            return [refusal(cause), gr.skip(), gr.skip()]
        return ["", *news(studio, "")]

    def stop() -> list[Any]:
        going = [job for job in studio.jobs() if job.state == "running"]
        for job in going:
            studio.cancel(job.id)
        told = note("Stopping. What is spoken already is kept.") if going else ""
        return [told, *news(studio, "")]

    def press(asked: gr.EventData) -> list[Any]:
        try:
            came = answer(studio, asked._data or {})
        except StudioError as cause:
            return [*news(studio, ""), *tab.told(refusal(cause))]
        record = came.record
        form = tab.form.filled(came.values) if record is None else tab.form.filled_from(record)
        return [*news(studio, ""), *tab.told(note(came.message), form)]

    tab.run.click(run, inputs=tab.form.components, outputs=[tab.message, *panel.shown], **QUIET)
    tab.stop.click(stop, outputs=[tab.message, *panel.shown], **QUIET)
    panel.painted.view.click(press, outputs=[*panel.shown, *tab.telling], **QUIET)


def _wire_form(tab: Tab) -> None:
    """Controls that turn others."""
    form, studio = tab.form, tab.studio
    controls: Mapping[str, Any] = form.controls  # Any: Gradio adds the events at run time
    knobs = form.knobs
    turned = [name for name in knobs.all_of_presets if name in controls]

    def take_preset(name: str) -> list[Any]:
        chosen = knobs.presets.get(name, {})
        return [chosen.get(knob, gr.skip()) for knob in turned]

    def name_preset(*given: Any) -> str:
        return preset_of(dict(zip(turned, given, strict=True)), knobs)

    def take_advice(bundle: str) -> list[Any]:
        kept = {"seed", *turned}
        options = usual_options(studio, bundle, "")
        return form.filled({name: to for name, to in options.items() if name not in kept})

    def reset() -> list[Any]:
        return tab.told(note("Everything is as at first."), form.filled(first_values(studio)))

    inputs = [controls[name] for name in turned]
    controls["preset"].input(take_preset, [controls["preset"]], inputs, **QUIET)
    gr.on([control.input for control in inputs], name_preset, inputs, [controls["preset"]], **QUIET)
    controls["bundle"].input(take_advice, [controls["bundle"]], form.components, **QUIET)
    tab.reset.click(reset, outputs=tab.telling, **QUIET)
    tab.seed_buttons.draw.click(
        lambda: str(secrets.randbelow(2**31)), outputs=[controls["seed"]], **QUIET
    )
    tab.seed_buttons.open.click(lambda: "", outputs=[controls["seed"]], **QUIET)
    controls["voice"].change(
        lambda voice: gr.update(visible=voice == MICROPHONE),
        [controls["voice"]],
        [controls["microphone"]],
        **QUIET,
    )


def _wire_memory(tab: Tab, blocks: gr.Blocks) -> None:
    """The form as it was at the last visit, what it will give, and the voices as they are now."""
    form, studio = tab.form, tab.studio
    controls: Mapping[str, Any] = form.controls  # Any: as above
    memory = gr.BrowserState(None, storage_key=STORAGE, secret=SECRET)
    known = gr.State(None)

    def keep(*given: Any) -> tuple[Any, str]:
        try:
            told = preview_of(studio, request_from(studio, form, given))
        except StudioError as cause:
            told = f'<div class="preview"><p class="over">! {escape(str(cause))}</p></div>'
        return remembered(form.named(given)), told

    def restore(kept: Any) -> list[Any]:
        return form.filled(restored(first_values(studio), kept, form.knobs))

    def look(seen: Any) -> tuple[Any, Any]:
        found = voice_choices(studio)
        return (gr.skip(), gr.skip()) if found == seen else (found, gr.update(choices=found))

    blocks.load(restore, [memory], form.components, **QUIET)
    gr.on(
        [control.change for name, control in controls.items() if name != "microphone"],
        keep,
        form.components,
        [memory, tab.preview.source],
        trigger_mode="always_last",
        **QUIET,
    )
    for ask in (gr.Timer(WATCH_S).tick, blocks.load):
        ask(look, [known], [known, form.controls["voice"]], **QUIET)


def _wire_clips(tab: Tab) -> None:
    """A clip that is dropped fills the form."""

    def take(path: str | None) -> list[Any]:
        if path is None:
            return tab.told("")
        try:
            record = read_record(Path(path))
        except StudioError as cause:
            return tab.told(refusal(cause))
        return tab.told(
            note("The form shows how this clip was spoken."), tab.form.filled_from(record)
        )

    tab.drop.upload(take, [tab.drop], tab.telling, **QUIET)

"""The tab Generate: text and voice in, speech out. Handlers translate; the studio does the work."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.finetunes import AUTO, resolve_bundle
from studio.recordings import MICROPHONE
from studio.studio import Studio
from studio.tags import read_record
from studio.voices import RANDOM
from webui.actions import answer
from webui.controls import within
from webui.form import (
    GenerateForm,
    first_values,
    knobs_for,
    preset_of,
    remembered,
    restored,
    usual_options,
)
from webui.form_view import draw_advanced, draw_choices, draw_keeping, draw_text
from webui.generate_tab import Tab, request_from
from webui.job_panel import draw_panel, follow, news
from webui.messages import note, refusal
from webui.own_voices import bring_recording, has_recording
from webui.page import QUIET, Page
from webui.painted import draw_painted
from webui.preview_view import preview_of
from webui.voice_events import wire_voices

# Any: each control has a value of its own type.

STORAGE, SECRET = "testudo-generate", "no secret: it lies in the browser of its owner"


def build(page: Page) -> None:
    """Draw the tab and wire it."""
    tab = _draw(page.studio)
    page.form, page.panel = tab.form, tab.panel
    follow(tab.panel, page.studio, page.blocks)
    _wire_running(tab)
    _wire_form(tab)
    _wire_memory(tab, page.blocks)
    _wire_clips(tab)
    wire_voices(tab, page.blocks)


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
            keeping = draw_keeping(str(values["voice"]))
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
        keeping=keeping,
    )


def _wire_running(tab: Tab) -> None:
    """Generate, Stop, and the buttons of the jobs."""
    studio, panel = tab.studio, tab.panel

    brought = gr.State("")  # the recording that is the microphone's voice already

    def run(brought: str, *given: Any) -> list[Any]:
        try:
            request = request_from(studio, tab.form, given)
            if request.voice == MICROPHONE:
                recording = tab.form.named(given)["microphone"]
                brought = bring_recording(studio, recording, brought)
            studio.submit(request)
        except StudioError as cause:
            return [brought, refusal(cause), *[gr.skip()] * len(panel.shown)]
        return [brought, "", *news(studio, "")]

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

    told = [tab.message, *panel.shown]
    tab.run.click(run, [brought, *tab.form.components], [brought, *told], **QUIET)
    tab.stop.click(stop, outputs=told, **QUIET)
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

    def take_advice(bundle: str, voice: str) -> list[Any]:
        kept = {"seed", *turned}
        options = usual_options(studio, resolve_bundle(studio.layout, bundle, voice), {})
        return form.filled({name: to for name, to in options.items() if name not in kept})

    def follow_voice(bundle: str, voice: str) -> list[Any]:
        return take_advice(bundle, voice) if bundle == AUTO else form.filled({})

    def reset() -> list[Any]:
        return tab.told(note("Everything is as at first."), form.filled(first_values(studio)))

    inputs = [controls[name] for name in turned]
    controls["preset"].input(take_preset, [controls["preset"]], inputs, **QUIET)
    gr.on([control.input for control in inputs], name_preset, inputs, [controls["preset"]], **QUIET)
    chosen = [controls["bundle"], controls["voice"]]
    controls["bundle"].input(take_advice, chosen, form.components, **QUIET)
    controls["voice"].input(follow_voice, chosen, form.components, **QUIET)
    tab.reset.click(reset, outputs=tab.telling, **QUIET)
    tab.seed_buttons.draw.click(
        lambda: str(secrets.randbelow(2**31)), outputs=[controls["seed"]], **QUIET
    )
    tab.seed_buttons.open.click(lambda: "", outputs=[controls["seed"]], **QUIET)


def _wire_memory(tab: Tab, blocks: gr.Blocks) -> None:
    """The form as it was at the last visit, and what it will give."""
    form, studio = tab.form, tab.studio
    controls: Mapping[str, Any] = form.controls  # Any: as above
    memory = gr.BrowserState(None, storage_key=STORAGE, secret=SECRET)

    def keep(*given: Any) -> tuple[Any, str]:
        try:
            request = request_from(studio, form, given)
            if request.voice == MICROPHONE and not has_recording(studio):
                request = replace(request, voice=RANDOM)  # the cuts are the same
            told = preview_of(studio, request)
        except StudioError as cause:
            told = f'<div class="preview"><p class="over">! {escape(str(cause))}</p></div>'
        return remembered(form.named(given)), told

    drawn = first_values(studio)

    def restore(kept: Any) -> list[Any]:
        """Fill only what stands otherwise: somebody quick may have begun to type."""
        values = restored(first_values(studio), kept, form.knobs)
        return form.filled({name: to for name, to in values.items() if to != drawn.get(name)})

    def show(*given: Any) -> str:
        return keep(*given)[1]

    arrived = blocks.load(restore, [memory], form.components, **QUIET)
    shown = {"js": within(form.components), **QUIET}
    arrived.then(show, form.components, tab.preview.source, **shown)
    done: Any = tab.panel.done  # Any: as above
    done.change(
        show, form.components, tab.preview.source, **shown
    )  # a run teaches how long it takes
    gr.on(
        [control.change for name, control in controls.items() if name != "microphone"],
        keep,
        form.components,
        [memory, tab.preview.source],
        js=within(form.components),
        trigger_mode="always_last",
        **QUIET,
    )


def _wire_clips(tab: Tab) -> None:
    """A clip that is dropped fills the form."""

    def take(path: str | None) -> list[Any]:
        if path is None:
            return [gr.skip(), *tab.told("")]
        try:
            record = read_record(Path(path))
        except StudioError as cause:
            return [None, *tab.told(refusal(cause))]
        told = note("The form shows how this clip was spoken.")
        return [None, *tab.told(told, tab.form.filled_from(record))]  # room for the next one

    tab.drop.upload(take, [tab.drop], [tab.drop, *tab.telling], **QUIET)

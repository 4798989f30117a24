"""The tab Generate: text and voice in, speech out. Handlers translate; the studio does the work."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.model_store.finetunes import AUTO, resolve_model_name
from studio.schemas.voices import MICROPHONE_VOICE
from studio.synthesis.audio_metadata import read_metadata
from studio.voices.catalog import RANDOM_VOICE
from webui.components.job_list import bind_job_updates, build_job_panel, get_job_updates
from webui.components.live_html import EVENT_OPTIONS, create_live_html
from webui.components.messages import error_html, note_html
from webui.components.option_controls import clamp_inputs_js
from webui.components.page_context import PageContext
from webui.generate.context import GenerateTab, build_speech_request
from webui.generate.form import (
    GenerateForm,
    find_preset,
    get_default_options,
    get_initial_values,
    get_option_fields,
    restore_values,
    select_saved_values,
)
from webui.generate.form_view import (
    build_advanced_options,
    build_save_voice,
    build_text_input,
    build_voice_and_preset,
)
from webui.generate.job_actions import handle_job_action
from webui.generate.preview import request_preview_html
from webui.generate.voice_lists import bind_voice_events
from webui.generate.voice_recorder import has_recording, import_recording

# Any: each control has a value of its own type.

STORAGE_KEY, STORAGE_SECRET = "testudo-generate", "no secret: it lies in the browser of its owner"


def build_generate_tab(page: PageContext) -> None:
    """Draw the tab and wire it."""
    tab = _build_layout(page.studio)
    page.form, page.panel = tab.form, tab.panel
    bind_job_updates(tab.panel, page.studio, page.blocks)
    _bind_run_events(tab)
    _bind_form_events(tab)
    _bind_browser_state(tab, page.blocks)
    _bind_clip_upload(tab)
    bind_voice_events(tab, page.blocks)


def _build_layout(studio: Studio) -> GenerateTab:
    values, knobs = get_initial_values(studio), get_option_fields(studio.settings.engine)
    with gr.Row(elem_classes="generate"):
        with gr.Column(scale=5, min_width=320, elem_classes="asking"):
            controls = {
                "text": build_text_input(values),
                **build_voice_and_preset(studio, values, knobs),
            }
            with gr.Row(elem_classes="run-row"):
                run = gr.Button("Generate", variant="primary", scale=3, elem_id="generate-run")
                stop = gr.Button("Stop", scale=1, elem_id="generate-stop")
            message = gr.HTML("", elem_id="generate-message")
            preview = create_live_html("generate-preview")
            with gr.Accordion("Advanced", open=False, elem_id="generate-advanced"):
                drawn, seed_buttons = build_advanced_options(studio, values, knobs)
                reset = gr.Button("Reset to defaults", size="sm", elem_id="generate-reset")
            keeping = build_save_voice(str(values["voice"]))
            drop = gr.File(
                label="Drop a clip of ours here to use its settings",
                file_types=["audio"],
                height=90,
                elem_id="generate-drop",
            )
        with gr.Column(scale=6, min_width=320, elem_classes="hearing"):
            panel = build_job_panel()
    form = GenerateForm(
        controls={**controls, **drawn}, option_fields=knobs, engine=studio.settings.engine
    )
    return GenerateTab(
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
        save_voice=keeping,
    )


def _bind_run_events(tab: GenerateTab) -> None:
    """Generate, Stop, and the buttons of the jobs."""
    studio, panel = tab.studio, tab.panel

    brought = gr.State("")  # the recording that is the microphone's voice already

    def run(brought: str, *given: Any) -> list[Any]:
        try:
            request = build_speech_request(studio, tab.form, given)
            if request.voice == MICROPHONE_VOICE:
                recording = tab.form.name_values(given)["microphone"]
                brought = import_recording(studio, recording, brought)
            studio.submit(request)
        except AppError as cause:
            return [brought, error_html(cause), *[gr.skip()] * len(panel.outputs)]
        return [brought, "", *get_job_updates(studio, "")]

    def stop() -> list[Any]:
        going = [job for job in studio.jobs() if job.state == "running"]
        for job in going:
            studio.cancel(job.id)
        told = note_html("Stopping. What is spoken already is kept.") if going else ""
        return [told, *get_job_updates(studio, "")]

    def press(asked: gr.EventData) -> list[Any]:
        try:
            came = handle_job_action(studio, asked._data or {})
        except AppError as cause:
            return [*get_job_updates(studio, ""), *tab.build_outputs(error_html(cause))]
        record = came.record
        form = (
            tab.form.build_updates(came.values)
            if record is None
            else tab.form.build_updates_from_metadata(record)
        )
        return [*get_job_updates(studio, ""), *tab.build_outputs(note_html(came.message), form)]

    told = [tab.message, *panel.outputs]
    tab.run.click(run, [brought, *tab.form.components], [brought, *told], **EVENT_OPTIONS)
    tab.stop.click(stop, outputs=told, **EVENT_OPTIONS)
    panel.live_html.view.click(press, outputs=[*panel.outputs, *tab.outputs], **EVENT_OPTIONS)


def _bind_form_events(tab: GenerateTab) -> None:
    """Controls that turn others."""
    form, studio = tab.form, tab.studio
    controls: Mapping[str, Any] = form.controls  # Any: Gradio adds the events at run time
    knobs = form.option_fields
    turned = [name for name in knobs.preset_option_names if name in controls]

    def take_preset(name: str) -> list[Any]:
        chosen = knobs.presets.get(name, {})
        return [chosen.get(knob, gr.skip()) for knob in turned]

    def name_preset(*given: Any) -> str:
        return find_preset(dict(zip(turned, given, strict=True)), knobs)

    def take_advice(bundle: str, voice: str) -> list[Any]:
        kept = {"seed", *turned}
        options = get_default_options(studio, resolve_model_name(studio.layout, bundle, voice), {})
        return form.build_updates({name: to for name, to in options.items() if name not in kept})

    def follow_voice(bundle: str, voice: str) -> list[Any]:
        return take_advice(bundle, voice) if bundle == AUTO else form.build_updates({})

    def reset() -> list[Any]:
        return tab.build_outputs(
            note_html("Everything is as at first."), form.build_updates(get_initial_values(studio))
        )

    inputs = [controls[name] for name in turned]
    controls["preset"].input(take_preset, [controls["preset"]], inputs, **EVENT_OPTIONS)
    gr.on(
        [control.input for control in inputs],
        name_preset,
        inputs,
        [controls["preset"]],
        **EVENT_OPTIONS,
    )
    chosen = [controls["bundle"], controls["voice"]]
    controls["bundle"].input(take_advice, chosen, form.components, **EVENT_OPTIONS)
    controls["voice"].input(follow_voice, chosen, form.components, **EVENT_OPTIONS)
    tab.reset.click(reset, outputs=tab.outputs, **EVENT_OPTIONS)
    tab.seed_buttons.randomize.click(
        lambda: str(secrets.randbelow(2**31)), outputs=[controls["seed"]], **EVENT_OPTIONS
    )
    tab.seed_buttons.clear.click(lambda: "", outputs=[controls["seed"]], **EVENT_OPTIONS)


def _bind_browser_state(tab: GenerateTab, blocks: gr.Blocks) -> None:
    """The form as it was at the last visit, and what it will give."""
    form, studio = tab.form, tab.studio
    controls: Mapping[str, Any] = form.controls  # Any: as above
    memory = gr.BrowserState(None, storage_key=STORAGE_KEY, secret=STORAGE_SECRET)

    def keep(*given: Any) -> tuple[Any, str]:
        try:
            request = build_speech_request(studio, form, given)
            if request.voice == MICROPHONE_VOICE and not has_recording(studio):
                request = replace(request, voice=RANDOM_VOICE)  # the cuts are the same
            told = request_preview_html(studio, request)
        except AppError as cause:
            told = f'<div class="preview"><p class="over">! {escape(str(cause))}</p></div>'
        return select_saved_values(form.name_values(given)), told

    drawn = get_initial_values(studio)

    def restore(kept: Any) -> list[Any]:
        """Fill only what stands otherwise: somebody quick may have begun to type."""
        values = restore_values(get_initial_values(studio), kept, form.option_fields)
        return form.build_updates(
            {name: to for name, to in values.items() if to != drawn.get(name)}
        )

    def show(*given: Any) -> str:
        return keep(*given)[1]

    arrived = blocks.load(restore, [memory], form.components, **EVENT_OPTIONS)
    shown = {"js": clamp_inputs_js(form.components), **EVENT_OPTIONS}
    arrived.then(show, form.components, tab.preview.source, **shown)
    done: Any = tab.panel.last_done  # Any: as above
    done.change(
        show, form.components, tab.preview.source, **shown
    )  # a run teaches how long it takes
    gr.on(
        [control.change for name, control in controls.items() if name != "microphone"],
        keep,
        form.components,
        [memory, tab.preview.source],
        js=clamp_inputs_js(form.components),
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )


def _bind_clip_upload(tab: GenerateTab) -> None:
    """A clip that is dropped fills the form."""

    def take(path: str | None) -> list[Any]:
        if path is None:
            return [gr.skip(), *tab.build_outputs("")]
        try:
            record = read_metadata(Path(path))
        except AppError as cause:
            return [None, *tab.build_outputs(error_html(cause))]
        told = note_html("The form shows how this clip was spoken.")
        return [
            None,
            *tab.build_outputs(told, tab.form.build_updates_from_metadata(record)),
        ]  # room for the next one

    tab.drop.upload(take, [tab.drop], [tab.drop, *tab.outputs], **EVENT_OPTIONS)

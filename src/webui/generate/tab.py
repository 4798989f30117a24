"""The Generate tab: text and voice in, speech out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.model_store.bundles import get_models_fingerprint
from studio.model_store.finetunes import (
    AUTO,
    resolve_model_name,
)
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import RANDOM_VOICE, get_voices_fingerprint
from studio.voices.speakers import restore_speakers
from webui.components.job_card import (
    stop_jobs,
)
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
)
from webui.components.messages import note_html, show_errors
from webui.components.option_controls import clamp_inputs_js, set_from_table_js
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.generate.clip_drop import ClipDrop
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
    build_advanced_controls,
    build_main_controls,
    build_run_buttons,
    follow_model,
    model_choices,
    preset_choices,
    voice_choices,
)
from webui.generate.job_actions import JOB_ACTIONS, run_job_action
from webui.generate.job_panel import TASKS, get_job_panel_state
from webui.generate.own_presets import OwnPresets
from webui.generate.preview import (
    format_estimate,
    is_long_job,
    request_preview_html,
    submit_first_sentence,
)
from webui.generate.projects import CLOSE, OPEN, ProjectList
from webui.generate.speakers import SpeakerFields
from webui.generate.voice_recorder import (
    ORIGIN,
    has_recording,
    import_recording,
    is_unsaved_voice,
    save_form_voice,
)

# Any: each control has a value of its own type.

RUN_LABEL = "Generate"
JOB_POLL_INTERVAL_S = 1.0
FOLDER_POLL_INTERVAL_S = 3.0
PROJECT_KEY = "testudo-project"  # of the project that is open in this browser
STORAGE_KEY, STORAGE_SECRET = (
    "testudo-generate",
    "not a secret: it is stored in the browser of its owner",
)


def build_generate_tab(page: PageContext) -> None:
    """Create the tab; sets `page.form`."""
    tab = GenerateTab(page.studio)
    page.form = tab.form
    tab.bind(page)


class GenerateTab:
    """The form, its preview and the jobs."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.initial_values = get_initial_values(studio)
        self.fields = get_option_fields(studio.settings.engine)
        with gr.Row(elem_classes="generate"):
            with gr.Column(scale=5, min_width=320, elem_classes="asking"):
                controls = build_main_controls(studio, self.initial_values, self.fields)
                self.speakers = SpeakerFields(studio)
                self.run, self.stop, self.first_sentence = build_run_buttons(RUN_LABEL)
                self.message = gr.HTML("", elem_id="generate-message")
                self.preview = create_live_html("generate-preview")
                with gr.Accordion("Advanced", open=False, elem_id="generate-advanced"):
                    advanced, self.random_seed, self.clear_seed = build_advanced_controls(
                        studio, self.initial_values, self.fields
                    )
                    self.reset = gr.Button("Reset to defaults", size="sm", elem_id="generate-reset")
                self.own_presets = OwnPresets(studio)
                self._build_save_voice(str(self.initial_values["voice"]))
                self.drop = ClipDrop(studio)
                self.projects = ProjectList(studio)
            with gr.Column(scale=6, min_width=320, elem_classes="hearing"):
                jobs = create_live_html("generate-jobs")
        self.form = GenerateForm(
            controls={**controls, **advanced},
            option_fields=self.fields,
            engine=studio.settings.engine,
        )
        self.last_done, self.imported = gr.State(""), gr.State("")
        self.opened = gr.BrowserState("", storage_key=PROJECT_KEY, secret=STORAGE_SECRET)
        self.panel = self._build_panel(jobs)
        self.panel.listen(self.projects.html)

    def _build_panel(self, jobs: gr.HTML) -> LivePanel:
        return LivePanel(
            jobs,
            partial(get_job_panel_state, self.studio),
            lambda state: {
                jobs: state.html,
                self.last_done: state.last_done,
                self.stop: gr.update(interactive=state.can_stop),
            },
            {
                **dict.fromkeys(JOB_ACTIONS, self._press),
                **self.projects.actions,
                OPEN: lambda action, opened: {self.opened: action.text("ref")},
                CLOSE: lambda action, opened: {self.opened: ""},
            },
            message=self.message,
            inputs=[self.opened],
            outputs=[self.last_done, self.stop],
            action_outputs=[self.imported, self.projects.message, *self.form.components],
        )

    def _build_save_voice(self, voice: str) -> None:
        self.save_voice = gr.Accordion(
            "Save this voice",
            open=False,
            visible=is_unsaved_voice(voice),
            elem_id="generate-keep-fold",
        )
        with self.save_voice:
            self.voice_name = gr.Textbox(
                label="Name",
                info="Name of the new voice.",
                max_lines=1,
                elem_id="generate-keep-name",
            )
            self.save = gr.Button("Save", size="sm", elem_id="generate-keep")

    def bind(self, page: PageContext) -> None:
        """Connect the events to their handlers."""
        form, values = self.form, self.form.components
        self.panel.follow(page.changes, JOB_POLL_INTERVAL_S, only_visible=False)
        self.projects.bind(page.changes)
        self.panel.bind(self.run.click, self._generate, [self.imported, *values])
        self.panel.bind(self.first_sentence.click, self._preview_sentence, values)
        self.panel.bind(self.stop.click, self._stop)
        self.own_presets.bind(form, page.blocks)
        self._bind_options()
        self._bind_browser_state(page.blocks)
        self._bind_voices(page)
        self.drop.bind(form, self.message, page.blocks)
        self.reset.click(self._reset, None, [self.message, *values], **EVENT_OPTIONS)
        self.save.click(
            show_errors(self.message, self._save_voice),
            [self.voice_name, *values],
            [self.message],
            **EVENT_OPTIONS,
        )
        seed = form.controls["seed"]
        self.random_seed.click(lambda: str(secrets.randbelow(2**31)), None, seed, **EVENT_OPTIONS)
        self.clear_seed.click(lambda: "", None, seed, **EVENT_OPTIONS)

    # ---- jobs -----------------------------------------------------------------------------------

    def _generate(self, imported: str, *values: Any) -> Updates:
        request = self.form.build_request(self.studio, values)
        if request.voice == MICROPHONE_VOICE:
            recording = self.form.name_values(values)["microphone"]
            imported = import_recording(self.studio, recording, imported)
        self.studio.submit(request, origin=ORIGIN)
        return {self.imported: imported, self.opened: ""}

    def _preview_sentence(self, *values: Any) -> None:
        submit_first_sentence(self.studio, self.form.build_request(self.studio, values), ORIGIN)

    def _stop(self) -> Updates:
        stopped = stop_jobs(self.studio, TASKS, ORIGIN, only_running=True)
        return {self.message: note_html("Stopping. Finished lines are kept." if stopped else "")}

    def _press(self, action: PanelAction, opened: str | None) -> Updates:
        result = run_job_action(self.studio, action)
        if result.record is not None:
            restore_speakers(self.studio.layout, result.record.speaker_voices)
        updates = (
            self.form.get_updates(result.values)
            if result.record is None
            else self.form.get_metadata_updates(result.record)
        )
        return {self.message: note_html(result.message), **updates}

    # ---- options that set others ----------------------------------------------------------------

    def _bind_options(self) -> None:
        controls: Mapping[str, Any] = self.form.controls  # Any: Gradio adds the events at run time
        preset, bundle, voice = controls["preset"], controls["bundle"], controls["voice"]
        names = self._get_preset_options()
        options = [controls[name] for name in names]
        base = gr.State("")  # the preset that custom values come from
        show = set_from_table_js(self.fields.presets, names)
        preset.input(None, [preset, *options], options, js=show, **EVENT_OPTIONS)
        preset.input(lambda name: name, [preset], [base], **EVENT_OPTIONS)
        gr.on(
            [option.input for option in options],
            self._find_preset,
            [base, *self.form.components],
            [preset],
            **EVENT_OPTIONS,
        )
        preset.focus(self._offer_presets, [base, *self.form.components], [preset], **EVENT_OPTIONS)
        chosen, outputs = [bundle, voice], self.form.components
        bundle.input(self._apply_model_defaults, chosen, outputs, **EVENT_OPTIONS)
        followed = voice.input(self._follow_voice, chosen, outputs, **EVENT_OPTIONS)
        self.own_presets.follow(followed, voice)

    def _get_preset_options(self) -> list[str]:
        return [name for name in self.fields.preset_option_names if name in self.form.controls]

    def _find_preset(self, base: str, *values: Any) -> Any:
        named = self.form.name_values(values)
        return gr.update(
            value=find_preset(named, self.fields),
            choices=preset_choices(self.fields, self._estimate_presets(values), base),
        )

    def _offer_presets(self, base: str, *values: Any) -> Any:
        """Name the presets by the time that they take for this text on this machine."""
        times = self._estimate_presets(values)
        return gr.update(choices=preset_choices(self.fields, times, base))

    def _estimate_presets(self, values: Sequence[Any]) -> Mapping[str, str]:
        try:
            request = self.form.build_request(self.studio, values)
        except AppError:
            return {}
        return {
            name: format_estimate(
                self.studio, replace(request, options={**request.options, **preset})
            )
            for name, preset in self.fields.presets.items()
        }

    def _apply_model_defaults(self, bundle: str, voice: str) -> Updates:
        kept = {"seed", *self._get_preset_options()}
        model = resolve_model_name(self.studio.layout, bundle, voice)
        options = get_default_options(self.studio, model)
        return self.form.get_updates(
            {name: value for name, value in options.items() if name not in kept}
        )

    def _follow_voice(self, bundle: str, voice: str) -> Updates:
        if bundle == AUTO:
            return self._apply_model_defaults(bundle, voice)
        return {self.form.controls["bundle"]: gr.skip()}

    def _reset(self) -> Updates:
        values = get_initial_values(self.studio)
        return {
            self.message: note_html("All settings are reset."),
            **self.form.get_updates(values),
        }

    # ---- the form kept in the browser, and its preview ------------------------------------------

    def _bind_browser_state(self, blocks: gr.Blocks) -> None:
        controls: Mapping[str, Any] = self.form.controls  # Any: as above
        values = self.form.components
        saved = gr.BrowserState(None, storage_key=STORAGE_KEY, secret=STORAGE_SECRET)
        shown = {"js": clamp_inputs_js(values), **EVENT_OPTIONS}
        loaded = blocks.load(self._restore, [saved], values, **EVENT_OPTIONS)
        outputs = [self.preview, self.run, self.first_sentence, *self.speakers.components]
        self.speakers.bind(
            self.message, lambda event: event.then(self._preview, values, outputs, **shown)
        )
        loaded.then(self._preview, values, outputs, **shown)
        done: Any = self.last_done  # Any: as above
        done.change(self._preview, values, outputs, **shown)  # time estimates change
        gr.on(
            [control.change for name, control in controls.items() if name != "microphone"],
            lambda *given: {
                saved: select_saved_values(self.form.name_values(given)),
                **self._preview(*given),
            },
            values,
            [saved, *outputs],
            trigger_mode="always_last",
            **shown,
        )

    def _restore(self, saved: Any) -> Updates:
        """Set only values that differ: the user may have begun to type."""
        values = restore_values(get_initial_values(self.studio), saved, self.fields)
        changed = {
            name: value for name, value in values.items() if value != self.initial_values.get(name)
        }
        return {self.form.controls["text"]: gr.skip(), **self.form.get_updates(changed)}

    def _preview(self, *values: Any) -> Updates:
        """Show how the text will be spoken, and how long that takes, also in the button."""
        html, estimate, is_long = "", "", False
        try:
            request = self.form.build_request(self.studio, values)
            if request.voice == MICROPHONE_VOICE and not has_recording(self.studio):
                request = replace(request, voice=RANDOM_VOICE)  # the chunks are the same
            html = request_preview_html(self.studio, request)
            estimate = format_estimate(self.studio, request)
            is_long = is_long_job(self.studio, request)
        except AppError as error:
            if error.code != "empty_text":  # Generate says so
                html = render("preview_error.html", error=error)
        label = f"{RUN_LABEL} ({estimate})" if estimate else RUN_LABEL
        speakers = self.speakers.get_updates(str(self.form.name_values(values)["text"] or ""))
        return {
            self.preview: html,
            self.run: gr.update(value=label),
            self.first_sentence: gr.update(visible=is_long),
            **speakers,
        }

    # ---- voices and models ----------------------------------------------------------------------

    def _bind_voices(self, page: PageContext) -> None:
        controls: Mapping[str, Any] = self.form.controls  # Any: as above
        voice, bundle, awaited = controls["voice"], controls["bundle"], self.drop.awaited
        folders = LivePanel(
            gr.HTML("", visible="hidden", elem_id="generate-folders"),
            self._get_folder_state,
            lambda state: self._offer_voices_and_models(state[-1]),
            inputs=[awaited],
            outputs=[awaited, voice, bundle],
        )
        folders.follow(page.changes, FOLDER_POLL_INTERVAL_S, only_visible=False)

        def show(name: str | None) -> Updates:
            return {
                controls["microphone"]: gr.update(visible=name == MICROPHONE_VOICE),
                self.save_voice: gr.update(visible=is_unsaved_voice(name or "")),
            }

        voice.change(show, [voice], [controls["microphone"], self.save_voice], **EVENT_OPTIONS)
        follow_model(self.studio, controls, page.blocks)

    def _get_folder_state(self, awaited: str) -> tuple[str, str]:
        layout = self.studio.layout
        return f"{get_voices_fingerprint(layout)} {get_models_fingerprint(layout)}", awaited

    def _offer_voices_and_models(self, name: str) -> Updates:
        """Offer the voices and models in their folders now; select a voice that was awaited."""
        voice, bundle = self.form.controls["voice"], self.form.controls["bundle"]
        choices = voice_choices(self.studio)
        has_arrived = name in {value for _, value in choices}
        selected: dict[str, Any] = {"value": name} if has_arrived else {}
        return {
            voice: gr.update(choices=choices, **selected),
            bundle: gr.update(choices=model_choices(self.studio)),
            **({self.drop.awaited: ""} if has_arrived else {}),
        }

    def _save_voice(self, name: str, *values: Any) -> Updates:
        text = save_form_voice(self.studio, self.form.name_values(values), name or "")
        return {self.message: note_html(text)}

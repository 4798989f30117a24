"""The effects of the Utilities tab: presets, options, a preview and a new version of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from audio.effects.options import EFFECT_PRESETS
from core.errors import AppError, reraise_as_app_error
from studio.schemas.clip_tools import ApplyEffectsRequest, merge_effects
from studio.synthesis.output_paths import find_clip_path, get_clip_name, list_recent_clips
from studio.voices.effects import find_preset_name
from studio.voices.uploads import store_upload
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import show_errors
from webui.components.option_controls import clamp_inputs_js
from webui.components.page_context import PageContext
from webui.tools.effect_controls import EffectControls, read_chain
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "Pitch, equalizer, compressor, reverberation, telephone and radio. The result is a new clip "
    "beside the original, which is not changed, with the same loudness."
)


class EffectsTool:
    """The effects part of the Utilities tab.  view: where its newest job is shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        first = merge_effects(next(iter(EFFECT_PRESETS)), {})
        self.effects = EffectControls("utilities-effects", first, can_be_none=False)
        gr.Markdown(ABOUT)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300, elem_classes="utility"):
                self.clip = gr.Dropdown(
                    choices=self._list_clips(),
                    value=next(iter(self._list_clips()), None),
                    label="Clip",
                    info="One of the newest, or its path below the results.",
                    allow_custom_value=True,
                    elem_id="utilities-effects-clip",
                )
                self.recording = gr.File(
                    label="Or drop a file: wav, mp3, flac, ogg, opus, m4a",
                    type="filepath",
                    height=150,
                    elem_id="utilities-effects-drop",
                )
                self.effects.create_preset()
                with gr.Row():
                    self.preview = gr.Button("Preview", elem_id="utilities-effects-preview")
                    self.apply = gr.Button(
                        "Apply into a new clip", variant="primary", elem_id="utilities-effects"
                    )
            with gr.Column(scale=1, min_width=300, elem_classes="utility"):
                self.effects.create_options()
        self.view = create_live_html("utilities-with-effects")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        inputs = [self.clip, self.recording, *self.effects.options]
        for button, preview in ((self.preview, True), (self.apply, False)):
            submit = show_errors(self.view, self._submit_preview if preview else self.submit)
            clamp = clamp_inputs_js([*panel.inputs, *inputs])
            panel.bind(button.click, submit, inputs, js=clamp)
        self.effects.bind()
        self.clip.focus(
            lambda: gr.update(choices=self._list_clips()), None, self.clip, **EVENT_OPTIONS
        )
        self.page.blocks.load(self._get_newest, None, self.clip, **EVENT_OPTIONS)

    def submit(
        self, clip: Any, recording: str | None, *values: Any, preview: bool = False
    ) -> Updates:
        """Submit the chain for a dropped file, else for the chosen clip."""
        options = read_chain(values)
        with reraise_as_app_error(ValueError):
            request = ApplyEffectsRequest(
                clip="",
                options=options,
                name=find_preset_name(options) or "effects",
                preview=preview,
            )
        reference, shown = self._find_source(str(clip or "").strip(), recording)
        named = f"{request.name}: {shown}"
        title = f"Preview of {named}" if preview else f"Effects of {named}"
        self.studio.submit(
            ApplyEffectsRequest(
                clip=reference, options=options, name=request.name, preview=preview
            ),
            title=title,
            origin=ORIGIN,
        )
        return {}

    def _submit_preview(self, *inputs: Any) -> Updates:
        return self.submit(*inputs, preview=True)

    def _find_source(self, clip: str, recording: str | None) -> tuple[str, str]:
        """Return the reference of the clip, and its name."""
        if recording:
            return store_upload(self.studio.layout, Path(recording)), Path(recording).name
        if not clip:
            raise AppError("Choose a clip or drop a file first.")
        path = find_clip_path(self.studio.layout, clip)
        return f"results/{get_clip_name(self.studio.layout, path)}", path.name

    def _get_newest(self) -> Any:
        clips = self._list_clips()
        return gr.update(choices=clips, value=next(iter(clips), None))

    def _list_clips(self) -> list[str]:
        return list_recent_clips(self.studio.layout)

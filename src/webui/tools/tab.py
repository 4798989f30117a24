"""The Utilities tab: tools for clips, voices, speakers, tokens and merged models."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import validate_name
from jobs.models import Job
from studio.model_store.bundles import find_model_folder, list_models
from studio.schemas.clip_tools import CheckVoiceRequest, MergeModelsRequest
from studio.voices.catalog import find_voice, list_voices
from webui.components.job_card import filter_active_jobs, is_submitted_by, stop_jobs
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import note_html, show_errors
from webui.components.option_controls import build_control, from_control_value
from webui.components.page_context import PageContext
from webui.tools.batch import BatchTool
from webui.tools.clip_editor import ClipTools
from webui.tools.conversion import ConversionTool
from webui.tools.effects import EffectsTool
from webui.tools.results import ORIGIN, PREVIEW_TASK, TASKS, tool_job_html
from webui.tools.speaker_lab import SpeakerLab
from webui.tools.tokens import build_tokens_tool
from webui.tools.toolbox import Toolbox
from webui.tools.voice_blend import BlendTool
from webui.tools.voice_design import DesignTool
from webui.tools.voice_effects import VoiceEffectsTool
from webui.tools.voices import VoiceGallery

# Any: updates of Gradio's components.

POLL_INTERVAL_S = 1.5
ABOUT_MERGE = (
    "Blend the weights of two fine-tuned models. Both must be fine-tuned from the same model; "
    "neither is changed."
)


class ToolJobs(NamedTuple):
    """The newest job of each task as HTML, and whether a job of this tab is not over."""

    html: dict[str, str]
    is_active: bool


def build_utilities_tab(page: PageContext) -> None:
    """Create the tab."""
    UtilitiesTab(page).bind()


class UtilitiesTab:
    """All tools. One live panel shows the newest job of each task beside its tool."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        with gr.Tabs(elem_id="utilities-parts", overflow_behavior="wrap"):
            with gr.Tab("Clip", id="clip", elem_id="utilities-part-clip"):
                self.clip_tools = ClipTools(page)
                self.views = self.clip_tools.views
            with gr.Tab("Effects", id="effects", elem_id="utilities-part-effects"):
                self.effects = EffectsTool(page)
                self.views["apply_effects"] = self.effects.view
            with gr.Tab("Convert", id="convert", elem_id="utilities-part-convert"):
                self.conversion = ConversionTool(page)
                self.views["convert_clip"] = self.conversion.view
            with gr.Tab("Batch", id="batch", elem_id="utilities-part-batch"):
                self.batch = BatchTool(page)
                self.views["batch"] = self.batch.view
            with gr.Tab("Voices", id="voice", elem_id="utilities-part-voice"):
                self.gallery = VoiceGallery(page)
                self.voice_effects = VoiceEffectsTool(page)
                self.views["preview_voice_effects"] = self.voice_effects.view
                self.blend = BlendTool(page)
                self.design = DesignTool(page)
                self.views["design_voice"] = self.design.view
                self.views |= {PREVIEW_TASK: self.blend.view, "keep_blend": self.blend.kept_view}
                self._build_voice_check()
            with gr.Tab("Speaker lab", id="speakers", elem_id="utilities-part-speakers"):
                self.lab = SpeakerLab(page)
                self.views |= self.lab.views
            with gr.Tab("SV2TTS toolbox", id="toolbox", elem_id="utilities-part-toolbox"):
                self.toolbox = Toolbox(page)
                self.views["use_toolbox"] = self.toolbox.view
            with gr.Tab("Tokens", id="tokens", elem_id="utilities-part-tokens"):
                build_tokens_tool(page)
            with gr.Tab("Merge", id="merge", elem_id="utilities-part-merge"):
                self._build_merge()
        with gr.Row():
            self.message = gr.HTML("", elem_id="utilities-message")
            self.stop = gr.Button(
                "Stop", size="md", variant="stop", visible=False, elem_id="utilities-stop"
            )
        first, *others = self.views.values()
        self.panel = LivePanel(
            first,
            self._get_state,
            self._render,
            {"hear": self.lab.play_point, "keep_design": self.design.keep},
            message=self.message,
            outputs=[*others, self.stop],
            action_outputs=[self.lab.player, self.design.message],
        )

    def _build_voice_check(self) -> None:
        gr.Markdown("Check a voice's clips for quality and consistency.")
        with gr.Column(elem_classes="utility"):
            self.voice = gr.Dropdown(
                choices=self._list_voices(),
                value=next(iter(self._list_voices()), None),
                label="Voice",
                allow_custom_value=True,
                elem_id="utilities-voice",
            )
            self.check = gr.Button("Check voice", elem_id="utilities-check-voice")
        self.views["check_voice"] = create_live_html("utilities-voice-checked")

    def _build_merge(self) -> None:
        gr.Markdown(ABOUT_MERGE)
        names = self._list_models()
        with gr.Row():
            self.models = [
                gr.Dropdown(
                    choices=names,
                    value=names[number] if number < len(names) else None,
                    label=f"{place.capitalize()} model",
                    allow_custom_value=True,
                    elem_id=f"utilities-merge-{place}",
                )
                for number, place in enumerate(("first", "second"))
            ]
        with gr.Row():
            (self.share_field,) = list_option_fields(MergeModelsRequest)
            self.share = build_control(self.share_field, "utilities", self.share_field.default)
            self.name = gr.Textbox(
                label="Name",
                info="The new model is named finetunes/NAME.",
                max_lines=1,
                elem_id="utilities-merge-name",
            )
        self.merge = gr.Button("Merge", elem_id="utilities-merge")
        self.views["merge_models"] = create_live_html("utilities-merged")

    def bind(self) -> None:
        """Connect the events to their handlers."""
        self.gallery.bind()
        self.voice_effects.bind(self.panel)
        self.blend.bind(self.panel)
        self.design.bind(self.panel)
        self.clip_tools.bind(self.panel)
        self.effects.bind(self.panel)
        self.conversion.bind(self.panel)
        self.batch.bind(self.panel)
        self.lab.bind(self.panel)
        self.toolbox.bind(self.panel)
        check = show_errors(self.views["check_voice"], self._check_voice)
        self.panel.bind(self.check.click, check, [self.voice])
        merge = show_errors(self.views["merge_models"], self._merge)
        self.panel.bind(self.merge.click, merge, [*self.models, self.share, self.name])
        self.panel.bind(self.stop.click, self._stop)
        self.panel.follow(self.page.changes, POLL_INTERVAL_S, place="tab-utilities")
        for trigger in (self.voice.focus, self.page.blocks.load):
            trigger(
                lambda: gr.update(choices=self._list_voices()), None, self.voice, **EVENT_OPTIONS
            )
        for model in self.models:
            model.focus(
                lambda: gr.update(choices=self._list_models()), None, model, **EVENT_OPTIONS
            )

    def _get_state(self) -> ToolJobs:
        jobs = [
            job
            for job in self.studio.jobs(limit=50)
            if job.task in self.views and (job.task != PREVIEW_TASK or job.origin == ORIGIN)
        ]
        newest: dict[str, Job] = {}
        for job in jobs:
            newest.setdefault(job.task, job)
        html = {task: tool_job_html(job, self.studio.layout) for task, job in newest.items()}
        is_active = any(not job.is_over and is_submitted_by(job, ORIGIN) for job in jobs)
        return ToolJobs(html=dict(html), is_active=is_active)

    def _render(self, state: ToolJobs) -> Updates:
        views = {view: state.html.get(task, "") for task, view in self.views.items()}
        return {**views, self.stop: gr.update(visible=state.is_active)}

    def _stop(self) -> Updates:
        jobs = stop_jobs(self.studio, TASKS, ORIGIN)
        for job in filter_active_jobs(self.studio.jobs(limit=50), [PREVIEW_TASK], ORIGIN):
            if job.origin == ORIGIN:
                self.studio.cancel(job.id)
                jobs.append(job)
        stopped = ", ".join(job.title for job in jobs)
        text = f"Stopped: {stopped}." if stopped else "No job of this tab is running."
        return {self.message: note_html(text)}

    def _check_voice(self, name: Any) -> Updates:
        voice = find_voice(self.studio.layout, str(name or ""))
        request = CheckVoiceRequest(voice=voice.name)
        self.studio.submit(request, title=f"Check of {voice.name}", origin=ORIGIN)
        return {}

    def _merge(self, first: Any, second: Any, share: Any, name: Any) -> Updates:
        """Submit a merge; the worker checks whether the models fit together."""
        for model in (first, second):
            find_model_folder(self.studio.layout, str(model or ""))
        if first == second:
            raise AppError("Choose two different models.")
        valid_name = validate_name(str(name or "").strip(), "model")
        with reraise_as_app_error(ValueError):
            request = MergeModelsRequest(
                first=first,
                second=second,
                name=valid_name,
                share=from_control_value(self.share_field, share),
            )
        self.studio.submit(request, title=f"Merge of {first} and {second}", origin=ORIGIN)
        return {}

    def _list_voices(self) -> list[str]:
        return [voice.name for voice in list_voices(self.studio.layout) if voice.clips]

    def _list_models(self) -> list[str]:
        return [model.name for model in list_models(self.studio.layout) if model.speaks]

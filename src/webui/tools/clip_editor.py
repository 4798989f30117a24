"""One uploaded clip: its settings, its voice, and jobs that check, clean and classify it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.options import list_option_fields
from studio.app.studio import Studio
from studio.diagnostics.voicefixer import describe_voicefixer_problem
from studio.model_store.bundles import list_models
from studio.schemas.clip_tools import (
    VOICEFIXER,
    CheckClipRequest,
    DenoiseClipRequest,
    DetectSyntheticRequest,
)
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.embedded_latents import EmbeddedLatents, read_embedded_latents
from studio.voices.effects import format_voice_effects
from studio.voices.uploads import (
    ImportVoiceRequest,
    create_upload_dir,
    resolve_file_ref,
    store_upload,
)
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import error_html, note_html, show_errors
from webui.components.option_controls import build_control, from_control_value
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

SOURCE_LATENTS, SOURCE_CLIP = "latents", "clip"
DENOISE_FIELDS = {field.name: field for field in list_option_fields(DenoiseClipRequest)}
DENOISE_OPTIONS = ("lower_db", "cut_hz", "even_level")
NO_CLASSIFIER = (
    "No installed model has the classifier. The published TorToiSe model has it; download it in "
    "Settings."
)
NO_CLIP = "Drop a clip first."


@dataclass(frozen=True, kw_only=True)
class UploadedClip:
    """A clip that was dropped.

    reference: see studio.voices.uploads;  path: where the browser can play it;
    problem: why it has no settings that can be shown.
    """

    reference: str
    name: str
    path: str
    record: TakeMetadata | None = None
    latents: EmbeddedLatents | None = None
    problem: str = ""


class ClipTools:
    """The clip part of the Utilities tab.  views: task -> where its newest job is shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        self.views: dict[str, gr.HTML] = {}
        self.clip = gr.State(None)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300):
                self.drop = gr.File(
                    label="Drop a clip: wav, mp3, flac, ogg, opus, m4a",
                    type="filepath",
                    height=150,
                    elem_id="utilities-drop",
                )
                self.details = gr.HTML("", elem_id="utilities-clip")
                self.copy = gr.Button(
                    "Copy Settings to Generate", interactive=False, elem_id="utilities-copy"
                )
                self.message = gr.HTML("", elem_id="utilities-clip-message")
                self._build_import()
            with gr.Column(scale=1, min_width=300):
                self._build_check()
                self._build_denoise()
                self._build_detection()

    def _build_import(self) -> None:
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### Import Voice")
            self.voice_name = gr.Textbox(
                label="Name",
                info="Voice name. Use an existing name to add this clip to it.",
                max_lines=1,
                elem_id="utilities-import-name",
            )
            self.source = gr.Radio(
                [("its latents", SOURCE_LATENTS), ("the clip itself", SOURCE_CLIP)],
                value=SOURCE_CLIP,
                label="From",
                info="Latents = saved voice embedding (only in some clips).",
                elem_id="utilities-import-from",
            )
            self.import_voice = gr.Button("Import Voice", elem_id="utilities-import")
            self.views["bring_voice"] = create_live_html("utilities-imported")

    def _build_check(self) -> None:
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### Reference quality check")
            self.check = gr.Button("Check clip", elem_id="utilities-check")
            self.views["check_clip"] = create_live_html("utilities-checked")

    def _build_denoise(self) -> None:
        problem, default = (
            describe_voicefixer_problem(can_download=True),
            DENOISE_FIELDS["method"].default,
        )
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### Clean up")
            method = gr.Radio(
                [("Built-in", default), ("voicefixer", VOICEFIXER)],
                value=default,
                label="Method",
                info=f"voicefixer restores speech with a network. {problem}"
                if problem
                else "Built-in reduces noise; voicefixer restores speech with a network (slower).",
                interactive=not problem,
                elem_id="utilities-clean-method",
            )
            fields = [DENOISE_FIELDS[name] for name in DENOISE_OPTIONS]
            options = [build_control(field, "utilities", field.default) for field in fields]
            self.denoise = gr.Button("Clean up into a new file", elem_id="utilities-clean")
            self.views["clean_clip"] = create_live_html("utilities-cleaned")
        self.denoise_controls = [method, *options]

    def _build_detection(self) -> None:
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### AI-audio detector")
            self.detect = gr.Button("Run detector", elem_id="utilities-judge")
            self.no_classifier = gr.HTML("", elem_id="utilities-judge-missing")
            self.views["judge_clip"] = create_live_html("utilities-judged")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        opened = [self.clip, self.details, self.copy, self.source, self.message]
        self.drop.upload(self._open, [self.drop], opened, **EVENT_OPTIONS)
        self.drop.clear(self._close, None, opened, **EVENT_OPTIONS)
        form = [*self.page.form.components, self.page.tabs]
        copy = show_errors(self.message, self._copy_settings)
        self.copy.click(copy, [self.clip], [self.message, *form], **EVENT_OPTIONS)

        def bind(button: gr.Button, task: str, build: Any, inputs: list[Any]) -> None:
            submit = show_errors(self.views[task], self._make_submit(build))
            panel.bind(button.click, submit, [self.clip, *inputs])

        bind(self.check, "check_clip", self._build_check_request, [])
        bind(self.detect, "judge_clip", self._build_detection_request, [])
        bind(self.denoise, "clean_clip", build_denoise_request, self.denoise_controls)
        bind(
            self.import_voice,
            "bring_voice",
            self._build_import_request,
            [self.voice_name, self.source],
        )
        self.page.blocks.load(
            self._get_detection_updates, None, [self.detect, self.no_classifier], **EVENT_OPTIONS
        )

    def _open(self, path: str | None) -> Updates:
        try:
            clip = open_uploaded_clip(self.studio, Path(path or ""))
        except AppError as error:
            return {**self._close(), self.details: error_html(error)}
        return {
            self.clip: clip,
            self.details: clip_metadata_html(clip),
            self.copy: gr.update(interactive=clip.record is not None),
            self.source: SOURCE_LATENTS if clip.latents else SOURCE_CLIP,
            self.message: "",
        }

    def _close(self) -> Updates:
        disabled = gr.update(interactive=False)
        return {self.clip: None, self.details: "", self.copy: disabled, self.message: ""}

    def _copy_settings(self, clip: UploadedClip | None) -> Updates:
        if clip is None or clip.record is None:
            raise AppError(NO_CLIP)
        return {
            self.message: note_html("Settings loaded from clip."),
            **self.page.form.get_metadata_updates(clip.record),
            self.page.tabs: gr.Tabs(selected="generate"),
        }

    def _make_submit(self, build: Callable[..., tuple[Any, str]]) -> Callable[..., Updates]:
        """Return a handler that submits build(clip, *inputs), a request and a title."""

        def submit(clip: UploadedClip | None, *inputs: Any) -> Updates:
            if clip is None:
                raise AppError(NO_CLIP)
            with reraise_as_app_error(ValueError):
                request, title = build(clip, *inputs)
            self.studio.submit(request, title=f"{title}: {clip.name}", origin=ORIGIN)
            return {}

        return submit

    def _build_check_request(self, clip: UploadedClip) -> tuple[CheckClipRequest, str]:
        return CheckClipRequest(clip=clip.reference), "Check"

    def _build_detection_request(self, clip: UploadedClip) -> tuple[DetectSyntheticRequest, str]:
        return DetectSyntheticRequest(clip=clip.reference), "Detection"

    def _build_import_request(
        self, clip: UploadedClip, name: str, source: str
    ) -> tuple[ImportVoiceRequest, str]:
        """Copy the clip to the uploads, from where the job imports it."""
        name = name.strip()
        if source == SOURCE_LATENTS and clip.latents is None:
            raise AppError(f"{clip.name} has no latents. Import the voice from the clip itself.")
        file = resolve_file_ref(self.studio.layout, clip.reference)
        folder = create_upload_dir(self.studio.layout, name, [file.name])
        with translate_write_errors(folder):
            shutil.copyfile(file, folder / file.name)
        request = ImportVoiceRequest(
            name=name, folder=str(folder), sound_only=source == SOURCE_CLIP
        )
        return request, f"Import of {name}"

    def _get_detection_updates(self) -> Updates:
        models = list_models(self.studio.layout)
        has_classifier = any("classifier" in model.networks for model in models)
        return {
            self.detect: gr.update(interactive=has_classifier),
            self.no_classifier: "" if has_classifier else note_html(NO_CLASSIFIER),
        }


def build_denoise_request(
    clip: UploadedClip, method: str, *values: Any
) -> tuple[DenoiseClipRequest, str]:
    """Return the request for the values of the controls, and its title."""
    options = {
        name: from_control_value(DENOISE_FIELDS[name], value)
        for name, value in zip(DENOISE_OPTIONS, values, strict=True)
    }
    return DenoiseClipRequest(clip=clip.reference, method=method, **options), "Clean-up"


def open_uploaded_clip(studio: Studio, path: Path) -> UploadedClip:
    """Store a dropped file and read its metadata, if any."""
    reference = store_upload(studio.layout, path)
    record, latents, problem = None, None, ""
    try:
        record = read_metadata(path)
        latents = read_embedded_latents(record, path.name)
    except AppError as error:
        problem = str(error).replace(str(path), path.name)
    return UploadedClip(
        reference=reference,
        name=path.name,
        path=str(path),
        record=record,
        latents=latents,
        problem=problem,
    )


def clip_metadata_html(clip: UploadedClip) -> Markup:
    """Render a player of a clip, its settings and its latents."""
    facts, record = {}, clip.record
    if record is not None:
        facts = {
            "Text": record.text,
            "Voice": record.voice,
            "Model": f"{record.bundle} ({record.engine}, weights {record.weights_id})",
            "Seed": str(record.seed),
            "Generated": f"{record.created}, {record.duration_s:.1f} s long",
            "Options": _format_pairs(record.options),
            "Output": _format_pairs(record.delivery),
            "Candidate": f"{record.candidate}, score {record.score:.4g}"
            if record.score is not None
            else "",
            "Take check": " ".join(record.checks),
            "Effects": "; ".join(_format_pairs(chain) for chain in record.effects),
            "Voice effects": "; ".join(format_voice_effects(record.voice_effects)),
            "Made from": record.source,
        }
    latents = base64.b64encode(clip.latents.raw).decode("ascii") if clip.latents else ""
    return render("clip_metadata.html", clip=clip, facts=facts, latents_base64=latents)


def _format_pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value not in ("", None))

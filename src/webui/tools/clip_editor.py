"""One clip on the bench: its settings, its voice, whether it is fit, cleaned, or made up."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

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
from studio.voices.uploads import (
    ImportVoiceRequest,
    create_upload_dir,
    resolve_file_ref,
    store_upload,
)
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.components.option_controls import build_control, from_control_value
from webui.components.page_context import PageContext
from webui.tools.clip_view import clip_metadata_html, clip_player_html

# Any: what Gradio's controls give and take.

SOURCE_LATENTS, SOURCE_CLIP = "its latents", "the clip itself"
CLEANING_OPTIONS = ("lower_db", "cut_hz", "even_level")
NO_CLASSIFIER = (
    "No model here has the classifier: the starter comes without it. It is part of the published "
    "weights, which Settings downloads."
)
NO_CLIP = "Drop a clip first."


@dataclass(frozen=True, kw_only=True)
class ClipEditorState:
    """The clip that a browser dropped.

    reference: see studio.voices.uploads;  path: where the browser can hear it;
    problem: why it carries no settings that can be shown.
    """

    reference: str
    name: str
    path: str
    record: TakeMetadata | None = None
    latents: EmbeddedLatents | None = None
    problem: str = ""


def build_clip_editor(page: PageContext) -> dict[str, gr.HTML]:
    """Draw the bench and wire it. Returns where the jobs of each task are shown."""
    bench = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=300):
            drop = gr.File(
                label="Drop a clip: wav, mp3, flac, ogg, opus, m4a",
                type="filepath",
                height=150,
                elem_id="utilities-drop",
            )
            told = gr.HTML("", elem_id="utilities-clip")
            copy = gr.Button(
                "Copy Settings to Generate", interactive=False, elem_id="utilities-copy"
            )
            importing = _build_import_section()
        with gr.Column(scale=1, min_width=300):
            check, checked = _build_check_section()
            clean, cleaned, cleaning = _build_clean_section()
            judge, judged, missing = _build_detection_section()
    message = importing["message"]

    drop.upload(
        lambda path: _handle_upload(page.studio, path),
        [drop],
        [bench, told, copy, importing["source"], message],
        **EVENT_OPTIONS,
    )
    drop.clear(
        lambda: [None, "", gr.update(interactive=False), gr.skip(), ""],
        None,
        [bench, told, copy, importing["source"], message],
        **EVENT_OPTIONS,
    )
    goes_to = [message, *page.form.components, page.tabs]
    copy.click(lambda held: _copy_settings(page, held), [bench], goes_to, **EVENT_OPTIONS)
    wire = _ClipJobButtons(studio=page.studio, bench=bench)
    wire.submit(
        importing["run"], _build_import_request, message, [importing["name"], importing["source"]]
    )
    wire.submit(check, lambda _, held: (CheckClipRequest(clip=held.reference), "Check"), checked)
    wire.submit(
        judge, lambda _, held: (DetectSyntheticRequest(clip=held.reference), "Judgement"), judged
    )
    wire.submit(clean, _build_clean_request, cleaned, list(cleaning.values()))
    page.blocks.load(
        lambda: _get_detection_updates(page.studio), None, [judge, missing], **EVENT_OPTIONS
    )
    return {
        "bring_voice": importing["job"],
        "check_clip": checked,
        "clean_clip": cleaned,
        "judge_clip": judged,
    }


def _build_import_section() -> dict[str, Any]:
    with gr.Column(elem_classes="utility"):
        gr.Markdown("### Import Voice")
        name = gr.Textbox(
            label="Name",
            info="What the voice shall be called. With the clip itself, an existing voice gets one "
            "more clip.",
            max_lines=1,
            elem_id="utilities-import-name",
        )
        source = gr.Radio(
            [SOURCE_LATENTS, SOURCE_CLIP],
            value=SOURCE_CLIP,
            label="From",
            info="Latents are what a model once heard of a voice; few clips carry them.",
            elem_id="utilities-import-from",
        )
        run = gr.Button("Import Voice", elem_id="utilities-import")
        message = gr.HTML("", elem_id="utilities-clip-message")
        job = gr.HTML("", elem_id="utilities-imported")
    return {"name": name, "source": source, "run": run, "message": message, "job": job}


def _build_check_section() -> tuple[gr.Button, gr.HTML]:
    with gr.Column(elem_classes="utility"):
        gr.Markdown("### Is it fit to clone from?")
        run = gr.Button("Check the clip", elem_id="utilities-check")
        return run, gr.HTML("", elem_id="utilities-checked")


def _build_clean_section() -> tuple[gr.Button, gr.HTML, Mapping[str, Component]]:
    fields = {field.name: field for field in list_option_fields(DenoiseClipRequest)}
    missing = describe_voicefixer_problem(can_download=True)
    with gr.Column(elem_classes="utility"):
        gr.Markdown("### Clean up")
        method = gr.Radio(
            [("Built-in", fields["method"].default), ("voicefixer", VOICEFIXER)],
            value=fields["method"].default,
            label="With",
            info=f"voicefixer restores with a network. {missing}" if missing else
            "The built-in one lowers noise; voicefixer restores with a network and takes longer.",
            interactive=not missing,
            elem_id="utilities-clean-method",
        )  # fmt: skip
        knobs = {
            name: build_control(fields[name], "utilities", fields[name].default)
            for name in CLEANING_OPTIONS
        }
        run = gr.Button("Clean up into a new file", elem_id="utilities-clean")
        shown = gr.HTML("", elem_id="utilities-cleaned")
    return run, shown, {"method": method, **knobs}


def _build_detection_section() -> tuple[gr.Button, gr.HTML, gr.HTML]:
    with gr.Column(elem_classes="utility"):
        gr.Markdown("### Did TorToiSe speak it?")
        run = gr.Button("Ask the classifier", elem_id="utilities-judge")
        missing = gr.HTML("", elem_id="utilities-judge-missing")
        return run, gr.HTML("", elem_id="utilities-judged"), missing


@dataclass(frozen=True, kw_only=True)
class _ClipJobButtons:
    """Buttons that ask for a job about the clip on the bench."""

    studio: Studio
    bench: gr.State

    def submit(
        self,
        run: gr.Button,
        wish: Callable[..., tuple[Any, str]],
        shown: gr.HTML,
        inputs: list[Any] | None = None,
    ) -> None:
        """Let a button submit what `wish(studio, clip, *inputs)` returns with a title."""

        def ask(held: ClipEditorState | None, *given: Any) -> Any:
            try:
                if held is None:
                    raise AppError(NO_CLIP)
                with reraise_as_app_error(ValueError):
                    request, title = wish(self.studio, held, *given)
                job = self.studio.submit(request, title=f"{title}: {held.name}")
                return note_html(f"{job.title} begins.")
            except AppError as cause:
                return error_html(cause)

        run.click(ask, [self.bench, *(inputs or [])], shown, **EVENT_OPTIONS)


def _handle_upload(studio: Studio, path: str | None) -> list[Any]:
    """Put a dropped file on the bench and say what is in it."""
    try:
        held = open_uploaded_clip(studio, Path(path or ""))
    except AppError as cause:
        return [None, error_html(cause), gr.update(interactive=False), gr.skip(), ""]
    told = clip_player_html(held.name, held.path) + clip_metadata_html(
        held.record, held.latents, held.problem
    )
    return [
        held,
        told,
        gr.update(interactive=held.record is not None),
        SOURCE_LATENTS if held.latents else SOURCE_CLIP,
        "",
    ]


def open_uploaded_clip(studio: Studio, path: Path) -> ClipEditorState:
    """Keep a dropped file and read what it says of itself; that it says nothing is no fault."""
    reference = store_upload(studio.layout, path)
    record, latents, problem = None, None, ""
    try:
        record = read_metadata(path)
        latents = read_embedded_latents(record, path.name)
    except AppError as cause:
        problem = str(cause).replace(str(path), path.name)
    return ClipEditorState(
        reference=reference,
        name=path.name,
        path=str(path),
        record=record,
        latents=latents,
        problem=problem,
    )


def _copy_settings(page: PageContext, held: ClipEditorState | None) -> list[Any]:
    if held is None or held.record is None:
        empty = [gr.skip()] * len(page.form.components)
        return [error_html(AppError(NO_CLIP)), *empty, gr.skip()]
    filled = page.form.build_updates_from_metadata(held.record)
    return [
        note_html("The form shows how this clip was spoken."),
        *filled,
        gr.Tabs(selected="generate"),
    ]


def _build_import_request(
    studio: Studio, held: ClipEditorState, name: str, source: str
) -> tuple[ImportVoiceRequest, str]:
    """Copy the clip to where it waits for becoming a voice."""
    if source == SOURCE_LATENTS and held.latents is None:
        raise AppError(f"{held.name} carries no latents. Import the voice from the clip itself.")
    kept = resolve_file_ref(studio.layout, held.reference)
    folder = create_upload_dir(studio.layout, name.strip(), [kept.name])
    with translate_write_errors(folder):
        shutil.copyfile(kept, folder / kept.name)
    wish = ImportVoiceRequest(
        name=name.strip(), folder=str(folder), sound_only=source == SOURCE_CLIP
    )
    return wish, f"Import of {name.strip()}"


def _build_clean_request(
    _: Studio, held: ClipEditorState, method: str, *knobs: Any
) -> tuple[DenoiseClipRequest, str]:
    fields = {field.name: field for field in list_option_fields(DenoiseClipRequest)}
    meant = {
        name: from_control_value(fields[name], given)
        for name, given in zip(CLEANING_OPTIONS, knobs, strict=True)
    }
    return DenoiseClipRequest(clip=held.reference, method=method, **meant), "Clean-up"


def _get_detection_updates(studio: Studio) -> list[Any]:
    there = any("classifier" in bundle.networks for bundle in list_models(studio.layout))
    return [gr.update(interactive=there), "" if there else note_html(NO_CLASSIFIER)]

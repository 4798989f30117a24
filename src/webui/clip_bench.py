"""One clip on the bench: its settings, its voice, whether it is fit, cleaned, or made up."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from engines.knobs import knobs_of
from studio.bringing import BringVoice, waiting_folder
from studio.dropped import file_of, take_in
from studio.embedded import Latents, latents_in
from studio.errors import StudioError, refusing, writing_to
from studio.fixer import why_not
from studio.studio import Studio
from studio.tags import read_record
from studio.takes import TakeRecord
from studio.utilities import VOICEFIXER, CheckClip, CleanClip, JudgeClip
from studio.weights import list_bundles
from webui.clip_views import clip_told, settings_told
from webui.controls import control, plain_value
from webui.messages import note, refusal
from webui.page import QUIET, Page

# Any: what Gradio's controls give and take.

LATENTS, SOUND = "its latents", "the clip itself"
CLEANING = ("lower_db", "cut_hz", "even_level")
NO_CLASSIFIER = (
    "No model here has the classifier: the starter comes without it. It is part of the published "
    "weights, which Settings downloads."
)
NO_CLIP = "Drop a clip first."


@dataclass(frozen=True, kw_only=True)
class OnBench:
    """The clip that a browser dropped.

    reference: see studio.dropped;  path: where the browser can hear it;  problem: why it carries
    no settings that can be shown.
    """

    reference: str
    name: str
    path: str
    record: TakeRecord | None = None
    latents: Latents | None = None
    problem: str = ""


def draw_clip(page: Page) -> dict[str, gr.HTML]:
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
            importing = _draw_import()
        with gr.Column(scale=1, min_width=300):
            check, checked = _draw_check()
            clean, cleaned, cleaning = _draw_clean()
            judge, judged, missing = _draw_judge()
    message = importing["message"]

    drop.upload(
        lambda path: _take(page.studio, path),
        [drop],
        [bench, told, copy, importing["source"], message],
        **QUIET,
    )
    drop.clear(
        lambda: [None, "", gr.update(interactive=False), gr.skip(), ""],
        None,
        [bench, told, copy, importing["source"], message],
        **QUIET,
    )
    goes_to = [message, *page.form.components, page.tabs]
    copy.click(lambda held: _copied(page, held), [bench], goes_to, **QUIET)
    wire = _Wiring(studio=page.studio, bench=bench)
    wire.submit(importing["run"], _import_wish, message, [importing["name"], importing["source"]])
    wire.submit(check, lambda _, held: (CheckClip(clip=held.reference), "Check"), checked)
    wire.submit(judge, lambda _, held: (JudgeClip(clip=held.reference), "Judgement"), judged)
    wire.submit(clean, _clean_wish, cleaned, list(cleaning.values()))
    page.blocks.load(lambda: _judge_state(page.studio), None, [judge, missing], **QUIET)
    return {
        "bring_voice": importing["job"],
        "check_clip": checked,
        "clean_clip": cleaned,
        "judge_clip": judged,
    }


def _draw_import() -> dict[str, Any]:
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
            [LATENTS, SOUND],
            value=SOUND,
            label="From",
            info="Latents are what a model once heard of a voice; few clips carry them.",
            elem_id="utilities-import-from",
        )
        run = gr.Button("Import Voice", elem_id="utilities-import")
        message = gr.HTML("", elem_id="utilities-clip-message")
        job = gr.HTML("", elem_id="utilities-imported")
    return {"name": name, "source": source, "run": run, "message": message, "job": job}


def _draw_check() -> tuple[gr.Button, gr.HTML]:
    with gr.Column(elem_classes="utility"):
        gr.Markdown("### Is it fit to clone from?")
        run = gr.Button("Check the clip", elem_id="utilities-check")
        return run, gr.HTML("", elem_id="utilities-checked")


def _draw_clean() -> tuple[gr.Button, gr.HTML, Mapping[str, Component]]:
    fields = {field.name: field for field in knobs_of(CleanClip)}
    missing = why_not()
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
            name: control(fields[name], "utilities", fields[name].default) for name in CLEANING
        }
        run = gr.Button("Clean up into a new file", elem_id="utilities-clean")
        shown = gr.HTML("", elem_id="utilities-cleaned")
    return run, shown, {"method": method, **knobs}


def _draw_judge() -> tuple[gr.Button, gr.HTML, gr.HTML]:
    with gr.Column(elem_classes="utility"):
        gr.Markdown("### Did TorToiSe speak it?")
        run = gr.Button("Ask the classifier", elem_id="utilities-judge")
        missing = gr.HTML("", elem_id="utilities-judge-missing")
        return run, gr.HTML("", elem_id="utilities-judged"), missing


@dataclass(frozen=True, kw_only=True)
class _Wiring:
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

        def ask(held: OnBench | None, *given: Any) -> Any:
            try:
                if held is None:
                    raise StudioError(NO_CLIP)
                with refusing(ValueError):
                    request, title = wish(self.studio, held, *given)
                job = self.studio.submit(request, title=f"{title}: {held.name}")
                return note(f"{job.title} begins.")
            except StudioError as cause:
                return refusal(cause)

        run.click(ask, [self.bench, *(inputs or [])], shown, **QUIET)


def _take(studio: Studio, path: str | None) -> list[Any]:
    """Put a dropped file on the bench and say what is in it."""
    try:
        held = put_on_bench(studio, Path(path or ""))
    except StudioError as cause:
        return [None, refusal(cause), gr.update(interactive=False), gr.skip(), ""]
    told = clip_told(held.name, held.path) + settings_told(held.record, held.latents, held.problem)
    return [
        held,
        told,
        gr.update(interactive=held.record is not None),
        LATENTS if held.latents else SOUND,
        "",
    ]


def put_on_bench(studio: Studio, path: Path) -> OnBench:
    """Keep a dropped file and read what it says of itself; that it says nothing is no fault."""
    reference = take_in(studio.layout, path)
    record, latents, problem = None, None, ""
    try:
        record = read_record(path)
        latents = latents_in(record, path.name)
    except StudioError as cause:
        problem = str(cause).replace(str(path), path.name)
    return OnBench(
        reference=reference,
        name=path.name,
        path=str(path),
        record=record,
        latents=latents,
        problem=problem,
    )


def _copied(page: Page, held: OnBench | None) -> list[Any]:
    if held is None or held.record is None:
        empty = [gr.skip()] * len(page.form.components)
        return [refusal(StudioError(NO_CLIP)), *empty, gr.skip()]
    filled = page.form.filled_from(held.record)
    return [note("The form shows how this clip was spoken."), *filled, gr.Tabs(selected="generate")]


def _import_wish(studio: Studio, held: OnBench, name: str, source: str) -> tuple[BringVoice, str]:
    """Copy the clip to where it waits for becoming a voice."""
    if source == LATENTS and held.latents is None:
        raise StudioError(f"{held.name} carries no latents. Import the voice from the clip itself.")
    kept = file_of(studio.layout, held.reference)
    folder = waiting_folder(studio.layout, name.strip(), [kept.name])
    with writing_to(folder):
        shutil.copyfile(kept, folder / kept.name)
    wish = BringVoice(name=name.strip(), folder=str(folder), sound_only=source == SOUND)
    return wish, f"Import of {name.strip()}"


def _clean_wish(_: Studio, held: OnBench, method: str, *knobs: Any) -> tuple[CleanClip, str]:
    fields = {field.name: field for field in knobs_of(CleanClip)}
    meant = {
        name: plain_value(fields[name], given) for name, given in zip(CLEANING, knobs, strict=True)
    }
    return CleanClip(clip=held.reference, method=method, **meant), "Clean-up"


def _judge_state(studio: Studio) -> list[Any]:
    there = any("classifier" in bundle.networks for bundle in list_bundles(studio.layout))
    return [gr.update(interactive=there), "" if there else note(NO_CLASSIFIER)]

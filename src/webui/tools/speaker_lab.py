"""The speaker lab: compare clips and voices, find a second speaker, and map embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from studio.encoders.lab import (
    MAP_METHODS,
    CompareSpeakersRequest,
    FindSpeakersRequest,
    MapSpeakersRequest,
    list_encoders,
    list_map_data,
    read_preview,
)
from studio.voices.catalog import list_voices
from studio.voices.uploads import store_upload
from webui.components.charts import GREY, TEAL
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
)
from webui.components.messages import show_errors
from webui.components.page_context import PageContext
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

MAP_LABELS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
ABOUT = (
    "A speaker encoder turns a recording into an embedding. Recordings of one person have similar "
    "embeddings, whatever is said: a cosine similarity of 1 is the most."
)
DROP_LABEL = "wav, mp3, flac, ogg, opus, m4a"


class SpeakerLab:
    """The speaker lab of the Utilities tab.  views: task -> where its newest job is shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        self.views: dict[str, gr.HTML] = {}
        gr.Markdown(ABOUT)
        self.encoder = gr.Dropdown(
            choices=list_encoders(self.studio.layout),
            value="auto",
            label="Encoder",
            info="Train your own under Training, Train Encoder.",
            elem_id="utilities-lab-encoder",
        )
        self._build_comparison()
        self._build_speakers()
        self._build_map()

    def _build_comparison(self) -> None:
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### Compare clips and voices")
            with gr.Row():
                self.clips = gr.File(
                    label=f"Drop clips: {DROP_LABEL}",
                    type="filepath",
                    file_count="multiple",
                    height=150,
                    elem_id="utilities-lab-clips",
                )
                self.voices = gr.Dropdown(
                    choices=self._list_voices(),
                    value=self._list_voices(),
                    multiselect=True,
                    label="Voices",
                    elem_id="utilities-lab-voices",
                )
            self.compare = gr.Button("Compare", elem_id="utilities-lab-compare")
            self.views["compare_speakers"] = create_live_html("utilities-compared")

    def _build_speakers(self) -> None:
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### Find a second speaker")
            self.recording = gr.File(
                label=f"Drop a recording: {DROP_LABEL}",
                type="filepath",
                height=150,
                elem_id="utilities-lab-recording",
            )
            self.find = gr.Button("Find speakers", elem_id="utilities-lab-find")
            self.views["find_speakers"] = create_live_html("utilities-speakers")

    def _build_map(self) -> None:
        with gr.Column(elem_classes="utility"):
            gr.Markdown("### Embedding map")
            with gr.Row():
                self.data = gr.Dropdown(
                    choices=list_map_data(self.studio.layout),
                    value="",
                    label="Recordings",
                    info="Voices, a dataset, or the path of a folder.",
                    allow_custom_value=True,
                    elem_id="utilities-lab-data",
                )
                self.method = gr.Radio(
                    choices=[(MAP_LABELS[name], name) for name in MAP_METHODS],
                    value=MAP_METHODS[0],
                    label="Projection",
                    elem_id="utilities-lab-method",
                )
            self.draw = gr.Button("Draw map", elem_id="utilities-lab-map")
            self.player = gr.Audio(
                visible=False,
                autoplay=True,
                interactive=False,
                buttons=["download"],
                waveform_options=gr.WaveformOptions(
                    waveform_color=GREY, waveform_progress_color=TEAL
                ),
                elem_id="utilities-lab-player",
            )
            self.views["map_speakers"] = create_live_html("utilities-mapped")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        for button, task, submit, inputs in (
            (self.compare, "compare_speakers", self._compare, [self.clips, self.voices]),
            (self.find, "find_speakers", self._find, [self.recording]),
            (self.draw, "map_speakers", self._draw, [self.data, self.method]),
        ):
            handler = show_errors(self.views[task], submit)
            panel.bind(button.click, handler, [self.encoder, *inputs])
        panel.listen(self.views["map_speakers"])
        offered = [
            (self.encoder, lambda: list_encoders(self.studio.layout)),
            (self.voices, self._list_voices),
            (self.data, lambda: list_map_data(self.studio.layout)),
        ]
        for control, choices in offered:
            control.focus(
                lambda choices=choices: gr.update(choices=choices()), None, control, **EVENT_OPTIONS
            )

    def play_point(self, action: PanelAction) -> Updates:
        """Play the recording of a point of a map."""
        job = self.studio.job(action.text("job"))
        points = (job.result or {}).get("points", ()) if job.task == "map_speakers" else ()
        number = action.text("value")
        if not (number.isascii() and number.isdecimal() and int(number) < len(points)):
            raise AppError("There is no such point. Draw the map again.")
        point = points[int(number)]
        name = f"{point['speaker']}: {Path(point['file']).name}"
        sound = read_preview(point["file"])
        return {self.player: gr.update(value=sound, label=name, visible=True)}

    def _compare(self, encoder: Any, clips: list[str] | None, voices: list[str] | None) -> Updates:
        with reraise_as_app_error(ValueError):
            request = CompareSpeakersRequest(
                clips=tuple(store_upload(self.studio.layout, Path(clip)) for clip in clips or ()),
                voices=tuple(voices or ()),
                encoder=str(encoder),
            )
        count = len(request.clips) + len(request.voices)
        return self._submit(request, f"Comparison of {count} clips and voices")

    def _find(self, encoder: Any, recording: str | None) -> Updates:
        if not recording:
            raise AppError("Drop a recording first.")
        clip = store_upload(self.studio.layout, Path(recording))
        request = FindSpeakersRequest(clip=clip, encoder=str(encoder))
        return self._submit(request, f"Speakers in {Path(recording).name}")

    def _draw(self, encoder: Any, data: Any, method: Any) -> Updates:
        with reraise_as_app_error(ValueError):
            request = MapSpeakersRequest(
                data=str(data or ""), method=str(method), encoder=str(encoder)
            )
        shown = Path(request.data).name or "all voices"
        return self._submit(request, f"{MAP_LABELS[request.method]} map of {shown}")

    def _submit(self, request: Any, title: str) -> Updates:
        self.studio.submit(request, title=title, origin=ORIGIN)
        return {}

    def _list_voices(self) -> list[str]:
        return [voice.name for voice in list_voices(self.studio.layout) if voice.clips]

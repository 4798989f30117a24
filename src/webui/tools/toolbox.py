"""The SV2TTS toolbox of the Utilities tab: load or record an utterance, embed it, speak, look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from studio.model_store.bundles import list_models
from studio.model_store.model_engine import SV2TTS
from studio.sv2tts.requests import TOOLBOX_VOCODERS, ToolboxRequest
from studio.voices.uploads import store_upload
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import note_html, show_errors
from webui.components.page_context import PageContext
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "An utterance becomes an embedding, and a text becomes speech in its voice, with every step "
    "as a picture."
)
NO_MODEL = "No SV2TTS model is installed. Import one under Settings, Models."
VOCODER_LABELS = {
    "auto": "The model's own", "istft": "iSTFT", "wavernn": "WaveRNN", "griffin_lim": "Griffin-Lim",
}  # fmt: skip


class Toolbox:
    """The controls.  view: where the newest result is shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(ABOUT)
        with gr.Column(elem_classes="utility"):
            self.recording = gr.Audio(
                label="Utterance: load or record",
                sources=["upload", "microphone"],
                type="filepath",
                elem_id="utilities-toolbox-recording",
            )
            self.text = gr.Textbox(
                label="Text", lines=2, elem_id="utilities-toolbox-text", placeholder="What to say"
            )
            with gr.Row():
                self.model = gr.Dropdown(
                    choices=self._list_models(),
                    value=next(iter(self._list_models()), None),
                    label="Model",
                    elem_id="utilities-toolbox-model",
                )
                self.vocoder = gr.Dropdown(
                    choices=[(VOCODER_LABELS[name], name) for name in TOOLBOX_VOCODERS],
                    value="auto",
                    label="Vocoder",
                    info="The same seed and another vocoder: the same mel.",
                    elem_id="utilities-toolbox-vocoder",
                )
                self.seed = gr.Number(
                    value=0, precision=0, label="Seed", elem_id="utilities-toolbox-seed"
                )
            with gr.Row():
                self.embed = gr.Button("Embed", elem_id="utilities-toolbox-embed")
                self.speak = gr.Button(
                    "Synthesize and vocode", variant="primary", elem_id="utilities-toolbox-speak"
                )
            self.no_model = gr.HTML("", elem_id="utilities-toolbox-missing")
        self.view = create_live_html("utilities-toolbox-result")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        inputs = [self.recording, self.model, self.vocoder, self.seed]
        panel.bind(self.embed.click, show_errors(self.view, self.submit_embedding), inputs)
        speak = show_errors(self.view, self.submit_speech)
        panel.bind(self.speak.click, speak, [*inputs, self.text])
        self.page.blocks.load(
            self._get_model_updates, None, [self.model, self.no_model], **EVENT_OPTIONS
        )

    def submit_embedding(
        self, recording: str | None, model: Any, vocoder: Any, seed: Any, text: str = ""
    ) -> Updates:
        """Submit an utterance to be embedded, and spoken with where there is a text."""
        if not recording:
            raise AppError("Load or record an utterance first.")
        with reraise_as_app_error(ValueError):
            request = ToolboxRequest(
                clip=store_upload(self.studio.layout, Path(recording)),
                text=text,
                model=str(model or ""),
                vocoder=str(vocoder or "auto"),
                seed=int(seed or 0),
            )
        name = Path(recording).name
        title = f"Speech in the voice of {name}" if text else f"Embedding of {name}"
        self.studio.submit(request, title=title, origin=ORIGIN)
        return {}

    def submit_speech(
        self, recording: str | None, model: Any, vocoder: Any, seed: Any, text: str
    ) -> Updates:
        """Submit a text to be spoken in the voice of an utterance."""
        if not text.strip():
            raise AppError("Write a text first.")
        return self.submit_embedding(recording, model, vocoder, seed, text)

    def _get_model_updates(self) -> Updates:
        names = self._list_models()
        return {
            self.model: gr.update(choices=names, value=next(iter(names), None)),
            self.no_model: "" if names else note_html(NO_MODEL),
        }

    def _list_models(self) -> list[str]:
        models = list_models(self.studio.layout)
        return [model.name for model in models if model.engine == SV2TTS and model.speaks]

"""A table spoken row by row, in the Utilities tab."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from engines.registry import get_options_class
from studio.schemas.batch_request import BatchRequest
from studio.schemas.speech import get_presets
from studio.settings.presets import read_presets
from studio.synthesis.batch_csv import read_batch_file
from studio.voices.catalog import check_voices, list_voices
from studio.voices.uploads import store_upload
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import error_html, show_errors
from webui.components.option_controls import format_preset_label
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "One clip for each row of a table (.csv, .tsv, .xlsx) with a column `text` and, if you like, "
    "`voice`, `preset`, `seed` and `name`. Clips that are there already are kept, so a table "
    "can be continued."
)
TABLE_SUFFIXES = [".csv", ".tsv", ".txt", ".xlsx"]


class BatchTool:
    """The table, what its rows leave open, and the job.  view: where the newest job is shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(ABOUT)
        with gr.Column(elem_classes="utility"):
            self.table = gr.File(
                label="Drop a table",
                type="filepath",
                file_types=TABLE_SUFFIXES,
                height=130,
                elem_id="utilities-batch-table",
            )
            self.columns = gr.Textbox(
                label="Columns",
                info="Only where the header does not say it, such as text=2,voice=Speaker.",
                max_lines=1,
                elem_id="utilities-batch-columns",
            )
            self.preview = gr.HTML("", elem_id="utilities-batch-preview")
            with gr.Row():
                self.voice = gr.Dropdown(
                    choices=self._list_voices(),
                    value=self.studio.settings.voice or next(iter(self._list_voices()), None),
                    label="Voice",
                    info="Of rows that name none.",
                    allow_custom_value=True,
                    elem_id="utilities-batch-voice",
                )
                self.preset = gr.Dropdown(
                    choices=self._list_presets(),
                    value="",
                    label="Preset",
                    info="Of rows that name none.",
                    allow_custom_value=True,
                    elem_id="utilities-batch-preset",
                )
            self.run = gr.Button("Generate all rows", elem_id="utilities-batch")
        self.view = create_live_html("utilities-batched")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        given = [self.table, self.columns, self.voice, self.preset]
        panel.bind(self.run.click, show_errors(self.view, self.submit), given)
        table: Any = self.table  # Any: Gradio adds the events at run time
        for trigger in (table.change, self.columns.change):
            trigger(self.show_preview, [self.table, self.columns], [self.preview], **EVENT_OPTIONS)
        for trigger in (self.voice.focus, self.page.blocks.load):
            trigger(
                lambda: (
                    gr.update(choices=self._list_voices()),
                    gr.update(choices=self._list_presets()),
                ),
                None,
                [self.voice, self.preset],
                **EVENT_OPTIONS,
            )

    def submit(self, table: str | None, columns: Any, voice: Any, preset: Any) -> Updates:
        """Submit the table, once it can be read."""
        if not table:
            raise AppError("Drop a table first.")
        rows = read_batch_file(Path(table), str(columns or "")).rows
        if voice:
            check_voices(self.studio.layout, str(voice))
        name = Path(table).stem
        request = BatchRequest(
            table=store_upload(self.studio.layout, Path(table)),
            name=name,
            columns=str(columns or ""),
            voice=str(voice or ""),
            preset=str(preset or ""),
        )
        self.studio.submit(request, title=f"Table {name}, {len(rows):,} rows", origin=ORIGIN)
        return {}

    def show_preview(self, table: str | None, columns: str) -> Markup | str:
        """Show the first rows and what is read from which column."""
        if not table:
            return ""
        try:
            preview = read_batch_file(Path(table), columns or "").preview
        except AppError as error:
            return error_html(error)
        return render("datasets/table_previews.html", previews=[preview])

    def _list_voices(self) -> list[str]:
        return [voice.name for voice in list_voices(self.studio.layout)]

    def _list_presets(self) -> list[tuple[str, str]]:
        own: list[str] = []
        with suppress(AppError):  # a broken file is reported where presets are used
            own = list(read_presets(self.studio.layout).presets)
        presets = get_presets(get_options_class(self.studio.settings.engine))
        named = [(format_preset_label(name), name) for name in presets]
        return [("As in Settings", ""), *named, *((name, name) for name in own)]

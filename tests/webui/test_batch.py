"""The table of Utilities: what is shown of it, what is submitted, and what comes of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.settings.presets import Preset, save_preset
from webui.components.page_context import PageContext
from webui.tools.batch import BatchTool
from webui.tools.results import TASKS, tool_job_html

TABLE = "text,voice,name\nGood day.,Anna,day\n<b>Good</b> night.,,night\nWho?,nobody,\n"


@pytest.fixture
def tool(studio: Studio) -> BatchTool:
    with gr.Blocks() as blocks, gr.Tabs() as tabs, gr.Tab("Utilities"):
        return BatchTool(PageContext(studio=studio, blocks=blocks, tabs=tabs))


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "My lines.csv"
    path.write_text(TABLE, encoding="utf-8")
    return str(path)


def test_a_table_becomes_clips_a_list_and_a_zip(
    studio: Studio, tool: BatchTool, table: str
) -> None:
    tool.submit(table, "", "vera", "")
    (job,) = studio.jobs()
    assert (job.task, job.title, job.origin) == ("batch", "Table My lines, 3 rows", "utilities")
    done = studio.wait(job.id, 60)
    assert done.state == "done" and done.result is not None, done.failure
    assert [clip["path"] for clip in done.result["clips"]] == [
        *("batch-my-lines/day.wav", "batch-my-lines/night.wav")
    ]
    assert [clip["voice"] for clip in done.result["clips"]] == ["Anna", "vera"]
    assert done.result["failed"][0][0] == 3 and "nobody" in done.result["failed"][0][1]
    with zipfile.ZipFile(studio.layout.exports / done.result["archive"]) as archive:
        assert {"day.wav", "night.wav"} <= set(archive.namelist())
    html = tool_job_html(done, studio.layout)
    assert "2 clips generated, 1 row left out" in html and "&lt;b&gt;Good" in html
    assert f"api/exports/{done.result['archive']}" in html and html.count("<audio") == 2
    tool.submit(table, "", "vera", "")
    again = studio.wait(studio.jobs()[0].id, 60)
    assert again.result is not None
    assert (again.result["spoken"], again.result["kept"]) == (0, 2)


def test_the_first_rows_are_shown_with_what_is_read_from_them(tool: BatchTool, table: str) -> None:
    shown = str(tool.show_preview(table, ""))
    assert "Good day." in shown and "&lt;b&gt;Good" in shown and "voice" in shown
    assert tool.show_preview(None, "") == ""
    assert "Error" in str(tool.show_preview(table, "text=9"))


def test_what_cannot_be_spoken_is_refused_before_it_is_queued(
    studio: Studio, tool: BatchTool, table: str
) -> None:
    with pytest.raises(AppError, match="Drop a table first"):
        tool.submit(None, "", "vera", "")
    with pytest.raises(AppError, match="nobody"):
        tool.submit(table, "", "nobody", "")
    Path(table).write_text("a,b\n", encoding="utf-8")
    with pytest.raises(AppError):
        tool.submit(table, "", "vera", "")
    assert studio.jobs() == [] and "batch" in TASKS


def test_presets_of_ones_own_can_be_chosen(studio: Studio, tool: BatchTool) -> None:
    save_preset(studio.layout, "Book", Preset(engine="tortoise"))
    choices = tool._list_presets()
    assert choices[0] == ("As in Settings", "") and ("Book", "Book") in choices
    studio.layout.presets_file.write_text("[")
    assert ("Book", "Book") not in tool._list_presets()

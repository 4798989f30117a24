"""Design of a voice in Utilities: sliders, voices to hear, and one that is kept."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.voices.catalog import find_voice
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.tools.results import tool_job_html
from webui.tools.voice_design import DesignTool


@pytest.fixture
def tool(studio: Studio) -> DesignTool:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        return DesignTool(PageContext(studio=studio, blocks=blocks, tabs=tabs))


def test_three_voices_are_offered_and_one_is_kept_by_its_seed(
    studio: Studio, tool: DesignTool
) -> None:
    tool.submit(0.5, 0.5, 0.0, 0.5, 0.5)
    job = studio.wait(studio.jobs()[0].id, 300)
    assert job.state == "done" and job.result is not None
    html = tool_job_html(job, studio.layout)
    assert html.count("<audio") == 3 and html.count("api/files/uploads/") == 6
    seed = job.result["voices"][0]["voice"]["seed"]

    def keep(**values: str) -> Any:
        action = {"job": job.id, "value": str(seed), "name": "mia", **values}
        return tool.keep(PanelAction(name="keep_design", values=action))

    assert "Saving mia" in keep()[tool.message]
    kept = studio.wait(studio.jobs()[0].id, 30)
    assert kept.request["seed"] == seed and find_voice(studio.layout, "mia").latents_path
    for values, told in (
        ({}, "already a voice"),
        ({"name": " "}, "Type a name"),
        ({"value": "x"}, "no such voice"),
        ({"value": "999"}, "no such voice"),
    ):
        with pytest.raises(AppError, match=told):
            keep(**values)

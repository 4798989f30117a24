"""The effects part of Utilities submits the chain that its controls show."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.schemas.clip_tools import merge_effects
from webui.tools.effect_controls import to_values
from webui.tools.effects import EffectsTool

HALL, ROOM = (to_values(merge_effects(name, {})) for name in ("hall", "room"))


class Page:
    """What the tool needs of the page."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio


@pytest.fixture
def tool(studio: Studio) -> EffectsTool:
    with gr.Blocks():
        return EffectsTool(Page(studio))  # type: ignore[arg-type]


def test_a_clip_or_a_dropped_file_becomes_a_job(studio: Studio, tool: EffectsTool) -> None:
    clip = studio.layout.results / "Anna" / "00001-hello.wav"
    clip.parent.mkdir(parents=True, exist_ok=True)
    clip.write_bytes((studio.layout.voices / "Anna" / "one.wav").read_bytes())
    tool.submit("Anna/00001-hello.wav", None, *HALL)
    (job,) = studio.jobs()
    assert job.task == "apply_effects" and job.request["clip"] == "results/Anna/00001-hello.wav"
    assert job.request["options"]["reverb"] == 0.35 and job.request["name"] == "hall"
    tool._submit_preview("Anna/00001-hello.wav", str(clip), 7.5, *ROOM[1:])
    job = studio.jobs()[0]
    assert job.request["preview"] and job.request["name"] == "effects"
    assert job.request["clip"].startswith("uploads/") and job.title.startswith("Preview")


@pytest.mark.parametrize(
    ("clip", "values", "told"),
    [
        ("", HALL, "Choose a clip"),
        ("../x.wav", HALL, "There is no clip"),
        ("Anna/gone.wav", HALL, "There is no clip"),
        ("Anna/x.wav", [0, "full", 0, 0, 0, 1, 0, 1], "No effect is turned on"),
        ("Anna/x.wav", [99, "full", 0, 0, 0, 1, 0, 1], "pitch is 99"),
    ],
)
def test_what_does_not_fit_is_named(
    studio: Studio, tool: EffectsTool, clip: str, values: list[Any], told: str
) -> None:
    with pytest.raises(AppError, match=told):
        tool.submit(clip, None, *values)
    assert studio.jobs() == []

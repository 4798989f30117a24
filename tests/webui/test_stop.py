"""Stop on a tab stops the jobs of that tab and no others."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from jobs.models import Job
from studio.app.studio import Studio
from webui.app import build_page


def job(task: str, state: str = "running") -> Job:
    return Job(id=task, task=task, request={}, title=task, state=state, created=0.0)  # type: ignore[arg-type]


@pytest.fixture
def stopped(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were stopped, while one of every tab runs."""
    ids: list[str] = []
    tasks = ("prepare", "speak", "download_model", "redo", "check_clip", "keep_random", "try_batch")
    monkeypatch.setattr(studio, "jobs", lambda limit=50: [job(task) for task in tasks])
    monkeypatch.setattr(studio, "cancel", ids.append)
    return ids


def press(page: gr.Blocks, elem_id: str) -> None:
    """Press a button as the page does, with what the components hold at first."""
    (button,) = [b for b in page.blocks.values() if getattr(b, "elem_id", "") == elem_id]
    (event,) = [f for f in page.fns.values() if (button._id, "click") in f.targets]
    given: list[Any] = [component.value for component in event.inputs]  # type: ignore[attr-defined]
    assert event.fn is not None
    event.fn(*given)


@pytest.mark.parametrize(
    ("button", "wanted"),
    [
        ("generate-stop", ["speak", "redo", "keep_random"]),
        ("utilities-stop", ["check_clip"]),
        ("settings-download-stop", ["download_model"]),
    ],
)
def test_stop_stops_only_the_jobs_of_its_tab(
    studio: Studio, stopped: list[str], button: str, wanted: list[str]
) -> None:
    press(build_page(studio), button)
    assert stopped == wanted

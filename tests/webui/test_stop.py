"""Stop on a tab stops the jobs of that tab and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from jobs.models import Job
from studio.app.studio import Studio
from studio.schemas.clip_tools import CheckVoiceRequest
from webui.app import build_page
from webui.components.voice_import import import_recordings


def job(task: str, state: str = "running", origin: str = "") -> Job:
    return Job(  # type: ignore[arg-type]
        id=f"{task}{origin and ' '}{origin}", task=task, request={}, title=task, state=state,
        created=0.0, origin=origin,
    )  # fmt: skip


@pytest.fixture
def stopped(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs that were stopped, while one of every tab runs."""
    ids: list[str] = []
    tasks = ("prepare", "speak", "download_model", "redo", "check_clip", "keep_random", "try_batch")
    shared = ("bring_voice", "install_speech_model", "speak")
    jobs = [
        *(job(task) for task in tasks),
        *(
            job(task, origin=place)
            for task in shared
            for place in ("prepare", "utilities", "settings", "api")
        ),
    ]
    monkeypatch.setattr(studio, "jobs", lambda limit=50: jobs)
    monkeypatch.setattr(studio, "cancel", ids.append)
    return ids


def find_updates(page: gr.Blocks, panel: str) -> dict[str, Any]:
    """Poll a panel as the page does; return the update of its Stop button."""
    (html,) = [b for b in page.blocks.values() if getattr(b, "elem_id", "") == panel]
    stop_id = {"generate-jobs": "generate-stop"}.get(panel, "training-prepare-stop")
    (stop,) = [b for b in page.blocks.values() if getattr(b, "elem_id", "") == stop_id]
    event = next(
        f
        for f in page.fns.values()
        if html in f.outputs and stop in f.outputs and f.fn.__name__ == "answer"
    )
    assert event.fn is not None
    given: list[Any] = [component.value for component in event.inputs]  # type: ignore[attr-defined]
    updates: dict[Any, Any] = event.fn(gr.EventData(None, {}), *given)
    return next(dict(value) for key, value in updates.items() if key is stop)


def press(page: gr.Blocks, elem_id: str) -> None:
    """Press a button as the page does, with what the components hold at first."""
    (button,) = [b for b in page.blocks.values() if getattr(b, "elem_id", "") == elem_id]
    (event,) = [f for f in page.fns.values() if (button._id, "click") in f.targets]
    given: list[Any] = [component.value for component in event.inputs]  # type: ignore[attr-defined]
    assert event.fn is not None
    event.fn(*given)


@pytest.mark.parametrize("panel", ["generate-jobs", "training-prepare-jobs"])
def test_stop_is_enabled_while_a_job_of_its_tab_is_active(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, panel: str
) -> None:
    page = build_page(studio)
    for jobs, enabled in (([], False), ([job("speak"), job("prepare")], True)):
        monkeypatch.setattr(studio, "jobs", lambda limit=50, jobs=jobs: jobs)
        assert find_updates(page, panel)["interactive"] is enabled


@pytest.mark.parametrize(
    ("button", "wanted"),
    [
        ("generate-stop", ["speak", "redo", "keep_random"]),
        ("utilities-stop", ["check_clip", "bring_voice utilities", "speak utilities"]),
        (
            "training-prepare-stop",
            ["prepare", "bring_voice prepare", "install_speech_model prepare"],
        ),
        ("settings-download-stop", ["download_model", "install_speech_model settings"]),
    ],
)
def test_stop_stops_only_the_jobs_of_its_tab(
    studio: Studio, stopped: list[str], button: str, wanted: list[str]
) -> None:
    press(build_page(studio), button)
    assert stopped == wanted


def test_a_submitted_job_has_the_tab_that_submitted_it_as_its_origin(
    studio: Studio, tmp_path: Path
) -> None:
    recording = tmp_path / "voices" / "Anna" / "one.wav"
    imported = import_recordings(studio, [recording], "nora", "prepare")
    checked = studio.submit(CheckVoiceRequest(voice="Anna"), origin="utilities")
    assert (imported.origin, checked.origin) == ("prepare", "utilities")
    assert studio.wait(imported.id, 30).origin == "prepare"


def test_stop_drops_the_first_waiting_job_of_the_tab_where_none_runs(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[str] = []
    newest_first = [
        job("redo", "waiting", "generate"),
        job("speak", "waiting", "generate"),
        job("prepare", "running", "prepare"),
    ]
    monkeypatch.setattr(studio, "jobs", lambda limit=50: newest_first)
    monkeypatch.setattr(studio, "cancel", ids.append)
    press(build_page(studio), "generate-stop")
    assert ids == ["speak generate"]

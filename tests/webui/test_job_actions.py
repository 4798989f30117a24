from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.models import Job
from studio.app.studio import Studio
from studio.history.favorites import read_stars
from support.fake_engine import FakeEngine
from webui.components.file_links import get_file_url
from webui.components.job_card import job_panel_html
from webui.components.live_panel import PanelAction
from webui.generate.job_actions import JobActionResult, run_job_action

Speak = Callable[..., Job]


def run(studio: Studio, values: dict[str, str]) -> JobActionResult:
    return run_job_action(studio, PanelAction(name=values["act"], values=values))


def press(studio: Studio, act: str, job: Job, value: str = "", **fields: str) -> Job:
    """Press a button of a job and wait for the newest job."""
    run(studio, {"act": act, "job": job.id, "value": value, **fields})
    return studio.wait(studio.jobs()[0].id, 30)


def html_of(studio: Studio) -> str:
    return job_panel_html(studio.jobs(), studio.layout, read_stars(studio.layout.stars))


def test_a_seed_is_kept_for_the_next_run(studio: Studio, spoken: Speak) -> None:
    job = spoken("Hello there.")
    came = run(studio, {"act": "seed", "job": job.id})
    assert came.values == {"seed": "5"} and "5" in came.message


def test_copied_settings_are_those_inside_the_clip(studio: Studio, spoken: Speak) -> None:
    came = run(studio, {"act": "settings", "job": spoken("Hello there.", volume=0.5).id})
    assert came.record is not None and came.record.text == "Hello there."
    assert came.record.delivery["volume"] == 0.5


def test_a_line_is_spoken_anew_with_another_text_and_seed_and_can_be_changed_back(
    studio: Studio, spoken: Speak
) -> None:
    job = spoken("One line.\nTwo lines.", delimiter="\\n")
    clip = Path(str(job.result["path"])) if job.result else Path()
    first = clip.read_bytes()
    FakeEngine.heard.clear()
    again = press(studio, "redo", job, "1", text="Two other lines.", seed="77")
    assert again.state == "done" and FakeEngine.heard == ["Two other lines."]
    second = clip.read_bytes()
    assert second != first
    assert 'title="Take 1: seed' in html_of(studio)
    back = press(studio, "use", job, "1/002.wav")
    assert back.state == "done" and clip.read_bytes() != second


def test_two_settings_are_compared_and_those_of_a_take_go_to_the_form(
    studio: Studio, spoken: Speak
) -> None:
    job = spoken("Hello there.")
    for name in ("temperature", "crop"):
        assert f'<option value="{name}">' in html_of(studio)
    assert '<option value="seed">' not in html_of(studio)
    first = {"setting1": "temperature", "values1": "0.5, 1.1"}
    second = {"setting2": "crop", "values2": "whole,first"}
    redone = press(studio, "grid", job, **first, **second)
    assert redone.state == "done"
    html = html_of(studio)
    for words in ("Compare 5 takes", "Temperature (Stability) 1.1, Crop first", "Copy Settings"):
        assert words in html
    came = run(studio, {"act": "take-settings", "job": job.id, "value": "0/001.candidate-5.wav"})
    assert came.record is not None and came.record.text == "Hello there."
    assert came.record.options["temperature"] == 1.1 and came.record.options["crop"] == "first"
    assert came.record.seed == 5


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "Choose one or two settings"),
        ({"setting1": "crop", "values1": "whole", "setting2": "crop"}, "two different settings"),
        ({"setting1": "loudest", "values1": "1, 2"}, "Choose a setting from the list"),
        ({"setting1": "temperature", "values1": "0.5, 9"}, r"Temperature \(Stability\) is 9"),
        ({"setting1": "temperature", "values1": "0.5, high"}, "must be a number"),
        ({"setting1": "temperature", "values1": "0.5"}, "2 to 4 values"),
        ({"setting1": "samples", "values1": "1, 2", "line": "9"}, "There is no line 9"),
    ],
)
def test_a_grid_that_cannot_be_made_is_refused(
    studio: Studio, spoken: Speak, fields: dict[str, str], told: str
) -> None:
    job = spoken("Hello there.")
    with pytest.raises(AppError, match=told):
        redone = press(studio, "grid", job, **fields)
        assert redone.failure is not None
        raise AppError(redone.failure.message)


def test_a_clip_is_starred_and_unstarred(studio: Studio, spoken: Speak) -> None:
    job = spoken("Hello there.")
    run(studio, {"act": "star", "job": job.id})
    assert len(read_stars(studio.layout.stars)) == 1 and 'aria-pressed="true"' in html_of(studio)
    run(studio, {"act": "star", "job": job.id})
    assert read_stars(studio.layout.stars) == frozenset()


@pytest.mark.parametrize(
    ("act", "fields", "told"),
    [
        ("dance", {}, "Unknown action"),
        ("redo", {"value": "-1"}, "is not a line number"),
        ("redo", {"value": "0", "seed": "٣"}, "is not a seed number"),
        ("use", {"value": "../x"}, "is not a line number"),
    ],
)
def test_what_a_browser_makes_up_is_refused(
    act: str, fields: dict[str, str], told: str, studio: Studio, spoken: Speak
) -> None:
    job = spoken("Hello there.")
    with pytest.raises(AppError, match=told):
        run(studio, {"act": act, "job": job.id, **fields})


def test_a_job_that_is_not_there_is_refused(studio: Studio) -> None:
    with pytest.raises(AppError, match="no job"):
        run(studio, {"act": "cancel", "job": "../../etc"})


def test_a_job_that_is_done_does_not_go_on(studio: Studio, spoken: Speak) -> None:
    done = spoken("Hello there.")
    with pytest.raises(AppError, match=r"done"):
        run(studio, {"act": "resume", "job": done.id})


def test_no_clip_outside_of_results_and_voices_has_an_address(studio: Studio) -> None:
    layout: ProjectPaths = studio.layout
    assert get_file_url(layout, "/etc/passwd") == ""
    assert get_file_url(layout, str(layout.voices / "Anna" / "one.wav")).startswith(
        "api/files/voices/"
    )
    assert get_file_url(layout, str(layout.results / "gone.wav")) == ""

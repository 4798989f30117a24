from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fake_engine import FakeEngine
from jobs.job import Job
from studio.errors import StudioError
from studio.history_stars import read_stars
from studio.layout import Layout
from studio.studio import Studio
from webui.actions import answer
from webui.job_panel import panel_html
from webui.links import link_of

Speak = Callable[..., Job]


def press(studio: Studio, act: str, job: Job, value: str = "", **fields: str) -> Job:
    """Press a button of a job and wait for the newest job."""
    answer(studio, {"act": act, "job": job.id, "value": value, **fields})
    return studio.wait(studio.jobs()[0].id, 30)


def html_of(studio: Studio) -> str:
    return panel_html(studio.jobs(), studio.layout, read_stars(studio.layout.stars))


def test_a_seed_is_kept_for_the_next_run(studio: Studio, spoken: Speak) -> None:
    job = spoken("Hello there.")
    came = answer(studio, {"act": "seed", "job": job.id})
    assert came.values == {"seed": "5"} and "5" in came.message


def test_copied_settings_are_those_inside_the_clip(studio: Studio, spoken: Speak) -> None:
    came = answer(studio, {"act": "settings", "job": spoken("Hello there.", volume=0.5).id})
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
    assert "Use the take of seed" in html_of(studio)
    back = press(studio, "use", job, "1/002.wav")
    assert back.state == "done" and clip.read_bytes() != second


def test_a_clip_is_starred_and_unstarred(studio: Studio, spoken: Speak) -> None:
    job = spoken("Hello there.")
    answer(studio, {"act": "star", "job": job.id})
    assert len(read_stars(studio.layout.stars)) == 1 and 'aria-pressed="true"' in html_of(studio)
    answer(studio, {"act": "star", "job": job.id})
    assert read_stars(studio.layout.stars) == frozenset()


@pytest.mark.parametrize(
    ("act", "fields", "told"),
    [
        ("dance", {}, "not known"),
        ("redo", {"value": "-1"}, "no number of a line"),
        ("redo", {"value": "0", "seed": "٣"}, "no number of a seed"),
        ("use", {"value": "../x"}, "no number of a line"),
    ],
)
def test_what_a_browser_makes_up_is_refused(
    act: str, fields: dict[str, str], told: str, studio: Studio, spoken: Speak
) -> None:
    job = spoken("Hello there.")
    with pytest.raises(StudioError, match=told):
        answer(studio, {"act": act, "job": job.id, **fields})


def test_a_job_that_is_not_there_is_refused(studio: Studio) -> None:
    with pytest.raises(StudioError, match="no job"):
        answer(studio, {"act": "cancel", "job": "../../etc"})


def test_a_job_that_is_done_does_not_go_on(studio: Studio, spoken: Speak) -> None:
    done = spoken("Hello there.")
    with pytest.raises(StudioError, match=r"done"):
        answer(studio, {"act": "resume", "job": done.id})


def test_no_clip_outside_of_results_and_voices_has_an_address(studio: Studio) -> None:
    layout: Layout = studio.layout
    assert link_of(layout, "/etc/passwd") == ""
    assert link_of(layout, str(layout.voices / "Anna" / "one.wav")).startswith("api/files/voices/")
    assert link_of(layout, str(layout.results / "gone.wav")) == ""

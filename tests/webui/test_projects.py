"""The list "Projects" on Generate, and the card of an opened one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import AppError
from core.progress import ProgressReporter
from jobs.models import Job
from studio.app.studio import Studio
from studio.history.service import History
from studio.projects.store import list_projects, rename_project
from studio.synthesis.output_paths import get_clip_name
from support.html_reader import Reader
from webui.components.job_card import job_panel_html
from webui.components.live_panel import PanelAction
from webui.generate.job_actions import run_job_action
from webui.generate.projects import find_opened_project, make_project_job, projects_html

Speak = Callable[..., Job]


@pytest.fixture
def ref(studio: Studio, spoken: Speak) -> str:
    """A clip of two lines."""
    job = spoken("One line.\nTwo <b>lines</b>.", delimiter="\\n")
    assert job.result is not None
    return get_clip_name(studio.layout, Path(str(job.result["path"])))


def test_the_list_names_projects_as_text(studio: Studio, ref: str) -> None:
    history = History.open(studio.layout)
    history.scan(ProgressReporter())
    html = str(projects_html(list_projects(history)))
    assert "2 lines" in html and "<b>" not in html and "&lt;b&gt;" in html
    rename_project(studio.layout, ref, "<i>Book</i>")
    assert "&lt;i&gt;Book" in str(projects_html(list_projects(history)))
    assert "No projects yet" in str(projects_html([]))


def test_an_opened_project_is_first_and_not_shown_twice(studio: Studio, ref: str) -> None:
    rename_project(studio.layout, ref, "Book")
    html = job_panel_html(studio.jobs(), studio.layout, (), make_project_job(studio.layout, ref))
    assert html.count("<article") == 1 and "Book</h3>" in html and "Close project" in html
    assert html.count("data-line=") == 2 and "Close project" not in job_panel_html(
        studio.jobs(), studio.layout
    )
    assert Reader(html) is not None


def test_a_line_of_an_opened_project_is_regenerated_and_the_seed_reused(
    studio: Studio, ref: str
) -> None:
    values = {"act": "redo", "job": f"project:{ref}", "value": "1", "text": "Other words."}
    run_job_action(studio, PanelAction(name="redo", values=values))
    assert studio.wait(studio.jobs()[0].id, 30).state == "done"
    job = make_project_job(studio.layout, ref)
    assert job.result is not None and "Other words." in job.result["heard"]
    seed = run_job_action(
        studio, PanelAction(name="seed", values={"act": "seed", "job": f"project:{ref}"})
    )
    assert seed.values == {"seed": "5"}


def test_a_project_that_is_gone_shows_nothing(studio: Studio, ref: str) -> None:
    (studio.layout.results / ref).unlink()
    assert find_opened_project(studio.layout, ref) is None
    assert find_opened_project(studio.layout, "") is None
    assert find_opened_project(studio.layout, "../../etc/passwd") is None
    with pytest.raises(AppError):
        run_job_action(
            studio, PanelAction(name="star", values={"act": "star", "job": "project:../x.wav"})
        )

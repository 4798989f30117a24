"""The drawer with the job queue: order, pause, and ways to stop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from webui.components.live_panel import PanelAction
from webui.components.queue_drawer import QUEUE_ACTIONS, queue_html, read_queue


@pytest.fixture
def paused(studio: Studio) -> Iterator[Studio]:
    """A studio whose queue is paused, with three jobs."""
    studio.set_queue_paused(True)
    for text in ("A text of some length.", "Short.", "A middle one."):
        wish = SpeechRequestInput(text=text, voice="Anna", options={"seed": 5})
        studio.submit(build_request(studio.settings, wish, studio.layout))
    yield studio


def press(studio: Studio, act: str, **values: str) -> None:
    QUEUE_ACTIONS[act](studio, PanelAction(name=act, values=values))


def titles(studio: Studio) -> list[str]:
    return [row.title for row in read_queue(studio).rows]


def test_a_paused_queue_starts_nothing_until_it_goes_on(paused: Studio) -> None:
    assert [row.place for row in read_queue(paused).rows] == [1, 2, 3]
    html = queue_html(read_queue(paused))
    assert "Paused" in html and "Queue (3)" in html and "Continue" in html
    press(paused, "unpause")
    assert all(paused.wait(job.id, 30).state == "done" for job in paused.jobs())
    assert read_queue(paused).rows == () and "Nothing is running" in queue_html(read_queue(paused))


def test_jobs_are_put_in_another_order(paused: Studio) -> None:
    last = read_queue(paused).rows[-1]
    press(paused, "move", job=last.id, value="1")
    assert titles(paused) == ["A middle one.", "A text of some length.", "Short."]
    press(paused, "short-first")
    assert titles(paused) == ["Short.", "A middle one.", "A text of some length."]
    for place in ("", "-1", "x"):
        with pytest.raises(AppError, match="Drop the job"):
            press(paused, "move", job=last.id, value=place)
    done = paused.cancel(last.id)
    with pytest.raises(AppError, match="cannot be moved"):
        press(paused, "move", job=done.id, value="1")


def test_one_or_all_jobs_that_wait_are_cancelled(paused: Studio) -> None:
    press(paused, "cancel", job=read_queue(paused).rows[0].id)
    assert titles(paused) == ["Short.", "A middle one."]
    press(paused, "stop-after", job=read_queue(paused).rows[0].id)
    press(paused, "cancel-waiting")
    assert titles(paused) == []
    assert {job.state for job in paused.jobs()} == {"stopped"}

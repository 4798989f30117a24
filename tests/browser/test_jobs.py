"""Work that is stopped, watched by several, and taken up again after a crash."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.server import StudioProcess, is_alive, until
from browser.visitor import Visitor

PATIENCE_S = 60.0  # from the click on Stop until the worker is free; what it takes is measured
FOREVER = {"samples": 4, "iterations": 4000}  # of diffusion steps: minutes
LINES = "\n".join(f"Line {word}." for word in ("one", "two", "three", "four", "five"))


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test began may not keep the next one waiting."""
    yield
    if "studio" in request.fixturenames:
        running: StudioProcess = request.getfixturevalue("studio")
        for job in running.jobs():
            if job["state"] in ("waiting", "running"):
                running.stop(job["id"])


def begin(one: Visitor, studio: StudioProcess, text: str, **knobs: str | float) -> str:
    """Type a text, turn knobs and press Generate; returns the id of the job that comes of it."""
    before = {job["id"] for job in studio.jobs()}
    one.set("generate-text", text)
    one.unfold()
    for name, value in knobs.items():
        one.set(f"generate-{name}", value)
    one.control("generate-run").click()

    def look() -> str | None:
        return next((job["id"] for job in studio.jobs() if job["id"] not in before), None)

    return until(look, within_s=30, what="new job", every_s=0.02)


def reached(studio: StudioProcess, id: str, stage: str, within_s: float = 60.0) -> None:
    """Wait until a job is in this stage."""

    def look() -> bool:
        job = studio.job(id)
        assert job["state"] in ("waiting", "running"), job
        return bool(re.search(stage, job["progress"]["stage"]))

    until(look, within_s=within_s, what=f"stage {stage}", every_s=0.02)


def with_takes(
    studio: StudioProcess, id: str, count: int, within_s: float = 60.0
) -> dict[str, Any]:
    """Wait until a job has spoken this many lines."""

    def look() -> dict[str, Any] | None:
        job = studio.job(id)
        return job if len(job["takes"]) >= count else None

    return until(look, within_s=within_s, what=f"take number {count}")


def ended(studio: StudioProcess, id: str, within_s: float) -> dict[str, Any]:
    """Wait until a job is over."""

    def look() -> dict[str, Any] | None:
        job = studio.job(id)
        return job if job["state"] in ("done", "failed", "stopped") else None

    return until(look, within_s=within_s, what="end of the job")


@pytest.mark.parametrize(
    ("stage", "knobs"),
    [
        ("draft", {"samples": 4096, "iterations": 4}),
        ("diffusion", FOREVER),
        ("vocode", {"samples": 4, "iterations": 4}),  # a moment of each of several lines
    ],
)
def test_stop_frees_the_worker_in_the_middle_of_a_stage(
    stage: str,
    knobs: dict[str, str | float],
    studio: StudioProcess,
    visitor: Callable[..., Visitor],
    measured: Callable[[str, str], None],
) -> None:
    one = visitor()
    one.open(studio.url)
    id = begin(one, studio, "\n".join([LINES] * 8), delimiter=r"\n", **knobs)
    reached(studio, id, stage)
    begun = time.monotonic()
    one.control("generate-stop").click()
    assert ended(studio, id, PATIENCE_S)["state"] == "stopped"
    measured("stop", f"{stage}, {time.monotonic() - begun:.2f} s")
    one.page.locator(f"article.job.is-stopped[data-key='{id}']").wait_for()


def test_stop_while_the_weights_are_still_being_loaded(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(), visitor()
    one.open(studio.url)
    first = begin(one, studio, LINES, iterations=400)  # longer than it takes to press Stop
    one.control("generate-stop").click()
    over = ended(studio, first, PATIENCE_S)
    assert (over["state"], over["takes"]) == ("stopped", [])
    second = begin(one, studio, "Good night.", iterations=4)
    assert ended(studio, second, 60)["state"] == "done"


def test_escape_asks_and_stop_now_keeps_the_takes_that_were_spoken(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    one.open(studio.url)
    id = begin(one, studio, "\n".join([LINES] * 8), delimiter=r"\n", iterations=60)
    with_takes(studio, id, 1)
    one.page.locator("#queue-panel [data-act=stop-after]").wait_for(state="attached")
    one.page.keyboard.press("Escape")
    one.page.locator("#queue-panel [data-act=cancel]:focus").wait_for()
    assert studio.job(id)["state"] == "running"  # it asks first
    one.page.keyboard.press("Enter")
    over = ended(studio, id, PATIENCE_S)
    assert over["state"] == "stopped" and 1 <= len(over["takes"]) < 40
    assert all((studio.root / "results" / take["path"]).is_file() for take in over["takes"])


def test_reload_second_browser_and_a_closed_tab_show_the_same_job(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one, two, three = visitor(), visitor(), visitor()
    one.open(studio.url)
    id = begin(one, studio, "Good evening, all of you.", **FOREVER)
    reached(studio, id, "diffusion")
    one.page.reload()
    two.open(studio.url)
    seen = [progress_in(one), progress_in(two)]
    one.page.close()
    three.open(studio.url)
    seen.append(progress_in(three))
    assert all("Good evening, all of you" in text for text in seen)
    assert min(map(steps_in, seen)) > 0
    assert studio.jobs()[0]["id"] == id and studio.job(id)["state"] == "running"
    two.control("generate-stop").click()
    assert ended(studio, id, PATIENCE_S)["state"] == "stopped"
    three.page.locator(f"article.job.is-stopped[data-key='{id}']").wait_for()


def progress_in(one: Visitor) -> str:
    """What the page says of the running job, once it counts."""
    panel = one.control("generate-jobs")
    panel.get_by_text(re.compile(r"\d+ (of|/) ?\d+")).first.wait_for()
    return str(panel.inner_text())


def steps_in(told: str) -> int:
    found = re.search(r"(\d[\d,]*) ?(?:of|/) ?4,?000", told)
    assert found, told
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_new_server_goes_on_at_the_next_unspoken_line(
    how: signal.Signals, own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(), visitor()
    one.forgive_ended_server()
    one.open(studio.url)
    id = begin(one, studio, LINES, delimiter=r"\n", iterations=30)
    job = with_takes(studio, id, 2)
    worker = studio.worker()
    assert worker is not None
    spoken = times_of(studio, job)
    studio.end(how)
    until(lambda: not is_alive(worker), within_s=PATIENCE_S, what="end of the orphaned worker")
    studio.start()
    over = ended(studio, id, 60)
    assert over["state"] == "done", over
    assert len(over["takes"]) == 5
    assert times_of(studio, over).items() >= spoken.items()  # nothing was spoken twice
    one.page.goto(studio.url)
    one.control("generate-jobs").get_by_text(re.compile("Line one", re.IGNORECASE)).first.wait_for()


def test_a_killed_worker_is_replaced_and_its_job_goes_on(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(), visitor()
    one.open(studio.url)
    id = begin(one, studio, LINES, delimiter=r"\n", iterations=30)
    job = with_takes(studio, id, 2)
    worker, spoken = studio.worker(), times_of(studio, job)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    over = ended(studio, id, 60)
    if over["state"] == "failed":  # told, and taken up at a click
        one.page.get_by_role("button", name=re.compile("go on|resume", re.IGNORECASE)).first.click()
        over = until(lambda: all_of(studio, id), within_s=60, what="end of the job")
    assert over["state"] == "done" and len(over["takes"]) == 5
    assert times_of(studio, over).items() >= spoken.items()


def all_of(studio: StudioProcess, id: str) -> dict[str, Any] | None:
    job = studio.job(id)
    return job if job["state"] == "done" else None


def times_of(studio: StudioProcess, job: dict[str, Any]) -> dict[Path, int]:
    """When each take of a job was written."""
    files = [studio.root / "results" / take["path"] for take in job["takes"]]
    return {file: file.stat().st_mtime_ns for file in files}

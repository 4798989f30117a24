"""The part Gold Dataset: steps, the waveform by speaker, and turns that are corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser.server import StudioProcess, make_root, until
from browser.visitor import Visitor
from core.paths import ProjectPaths
from support.gold_project import write_gold_project
from training.gold.diary import read_diary


@pytest.fixture(scope="module")
def gold(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with a finished gold project."""
    root = make_root(tmp_path_factory.mktemp("gold") / "root")
    write_gold_project(ProjectPaths.from_root(root))
    running = StudioProcess(root)
    try:
        yield running.start()
    finally:
        running.close()


def test_a_speaker_is_renamed_and_a_step_run_again(
    gold: StudioProcess, visitor: Callable[..., Visitor], screenshots: Path
) -> None:
    one = visitor(viewport={"width": 1440, "height": 900})
    page = one.open(gold.url, "training")
    page.get_by_role("tab", name="Gold Dataset").click()
    page.get_by_text("4 turns of 2 speakers").wait_for()
    page.locator(".gold-wave path.speaker-1").wait_for()
    name = page.get_by_label("Name of Bob")
    name.fill("Robert")
    name.blur()
    page.get_by_label("Name of Robert").wait_for()
    turns = read_diary(gold.root / "training" / "gold" / "talk" / "2-diary.csv")
    assert [turn.speaker for turn in turns] == ["Ann", "Robert", "Robert", "Ann"]
    page.get_by_text("Outdated").first.wait_for()
    page.get_by_label("Run clean").click()
    until(
        lambda: gold.jobs() and gold.jobs()[0]["state"] == "done", within_s=300, what="clean step"
    )
    page.get_by_text("Steps: clean.").wait_for()
    one.settle()
    one.keep(screenshots / "gold-1440.png")
    page.set_viewport_size({"width": 390, "height": 844})
    one.settle()
    one.keep(screenshots / "gold-390.png")
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 390

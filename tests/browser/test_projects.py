"""Projects in the page: opened, renamed and imported; and what 200 lines cost a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from browser.clips import write_project
from browser.server import StudioProcess, until
from browser.visitor import Visitor

NODES_PER_LINE = 45  # elements of a row with one take
COUNT = """(card) => ({
    lines: card.querySelectorAll('[data-line]').length,
    players: card.querySelectorAll('audio').length,
    waves: card.querySelectorAll('.wave.is-drawn').length,
    nodes: card.querySelectorAll('*').length,
})"""


def open_project(page: Any, name: str) -> Any:
    """Open a project from the list; returns its card."""
    fold = page.locator("#generate-projects-fold > .label-wrap")
    if "open" not in (fold.get_attribute("class") or "").split():
        fold.click()
    row = page.locator("#generate-projects li", has_text=name)
    row.get_by_role("button", name="Open", exact=True).click()
    card = page.locator("article.job.newest:has([data-act=close-project])")
    card.locator("[data-line]").first.wait_for()
    return card


def test_a_project_is_renamed_opened_elsewhere_exported_and_imported(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    studio = own_studio()
    write_project(studio.root, 3)
    write_project(studio.root, 200)
    one = visitor()
    page = one.open(studio.url)
    page.locator("#generate-projects-fold > .label-wrap").click()
    row = page.locator("#generate-projects li", has_text="3 lines")
    row.locator("summary").click()
    row.locator("[data-field=name]").fill("My book")
    row.get_by_role("button", name="Save name").click()
    page.locator("#generate-projects li", has_text="My book").wait_for()

    other = visitor()  # another device, on which it opens again after a reload
    elsewhere = other.open(studio.url)
    card = open_project(elsewhere, "My book")
    card.locator(".wave.is-drawn").wait_for(state="attached")
    few = card.evaluate(COUNT)
    assert few["lines"] == 3
    elsewhere.reload()
    card = elsewhere.locator("article.job.newest", has_text="My book")
    card.locator("[data-line]").first.wait_for()
    card.get_by_role("button", name="Close project").click()
    card.wait_for(state="detached")

    many = open_project(elsewhere, "200 lines")
    many.locator(".wave.is-drawn").wait_for(state="attached")
    cost = many.evaluate(COUNT)
    assert cost["lines"] == 200
    assert cost["players"] == few["players"] and cost["waves"] == few["waves"] == 1
    assert cost["nodes"] - few["nodes"] <= NODES_PER_LINE * (200 - 3)

    page.locator("#generate-projects li", has_text="My book").get_by_role(
        "button", name="Export"
    ).click()
    with page.expect_download() as coming:
        page.locator("#generate-projects-message a").click()
    packed = tmp_path / "book.zip"
    coming.value.save_as(packed)
    page.locator("#generate-projects-import input[type=file]").set_input_files(packed)
    page.get_by_text("My book imported.").wait_for()
    rows = page.locator("#generate-projects li", has_text="My book")
    until(lambda: rows.count() == 2, within_s=60, what="second project", every_s=0.2)

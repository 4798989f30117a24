"""The Settings tab: its list of sections, its search, the log and the report."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from browser.server import StudioProcess
from browser.visitor import Visitor


def test_sections_are_reached_from_the_list_at_the_side(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    page = visitor().open(studio.url, "settings")
    for name in ("Log", "What is new", "Sound"):
        link = page.locator("[data-section]", has_text=re.compile(f"^{name}$"))
        link.click()
        section = page.locator(f"#{link.get_attribute('data-section')}")
        page.wait_for_function(
            "(id) => { const top = document.getElementById(id).getBoundingClientRect().top;"
            " return top > -5 && top < innerHeight - 60; }",
            arg=section.get_attribute("id"),
        )
        assert link.get_attribute("aria-current") == "true"
        box = link.bounding_box()
        assert box is not None and box["y"] >= 0, "the list stays in view"
    assert page.locator("#settings-changes").inner_text().strip()


def test_a_setting_is_found_by_its_effect(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    page = visitor().open(studio.url, "settings")
    page.locator("[data-find-setting]").fill("vram")
    page.locator("#settings-low-vram").wait_for(state="visible")
    assert not page.locator("#settings-voice").is_visible()
    assert not page.locator("#settings-section-files").is_visible()
    assert re.match(r"\d+ found", page.locator("[data-found]").inner_text())
    page.locator("[data-find-setting]").fill("nothing has this name")
    assert page.locator("[data-found]").inner_text() == "0 found"
    page.locator("[data-find-setting]").fill("")
    page.locator("#settings-voice").wait_for(state="visible")


def test_the_log_is_shown_and_a_report_is_downloaded(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor], tmp_path: Path
) -> None:
    studio = own_studio()  # one without errors of other tests
    page = visitor().open(studio.url, "settings")
    page.locator("#settings-log li", has_text="starts on port").first.wait_for()
    page.get_by_label("Errors", exact=True).check()
    page.locator("#settings-log", has_text="No entries of this level").wait_for()
    page.locator("#settings-report").click()
    with page.expect_download() as saved:
        page.locator("#settings-log-message a").click()
    path = tmp_path / "report.zip"
    saved.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        assert "system.txt" in archive.namelist()
        told = archive.read("log.txt").decode()
    assert "starts on port" in told and str(studio.root) not in told

"""The studio under a path of its address, as behind a proxy: nothing may reach beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from browser.server import StudioProcess, until
from browser.visitor import TABS, Visitor, length_of


def test_a_text_is_spoken_heard_and_found_below_the_path(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(path="/deep/studio"), visitor()
    asked: set[str] = set()
    one.context.on("request", lambda request: asked.add(urlsplit(request.url).path))
    page = one.open(studio.url)
    one.control("generate-run").click()
    heard = page.locator("article.job.is-done audio").first
    heard.wait_for(state="attached")
    assert length_of(heard) > 0.1
    (clip,) = (studio.root / "results").glob("*/*.wav")
    for tab in TABS:
        one.choose(tab)
    one.choose("utilities")
    page.locator("#utilities-drop input[type=file]").set_input_files(clip)
    dropped = page.locator("#utilities-clip audio").first
    dropped.wait_for(state="attached")
    assert length_of(dropped) > 0.1
    one.choose("history")
    page.locator("#history-list li.clip .open").first.click()
    found = page.locator("#history-list .panel audio").first
    found.wait_for(state="attached")
    assert length_of(found) > 0.1
    page.locator("#history-delete-opened").click()
    until(lambda: not clip.exists(), within_s=30, what="deletion")
    page.get_by_text(re.compile("moved to the trash")).first.wait_for()
    beside = {path for path in asked if path and not path.startswith("/deep/studio/")}
    assert beside <= {"/favicon.ico", "/manifest.json"}, beside  # which browsers ask for themselves

"""An idle page sends no event of Gradio, and follows what changes all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from browser.clips import record, write_spoken
from browser.server import StudioProcess, until
from browser.visitor import Visitor

LOOKS = 8  # requests of the change signal that are waited for: about four seconds


def count_requests(page: Any) -> Callable[[str], int]:
    """Count the requests of a page from now on by the start of their path."""
    paths: list[str] = []
    page.on("request", lambda request: paths.append(urlsplit(request.url).path))
    return lambda start: sum(path.startswith(start) for path in paths)


def test_an_idle_page_sends_no_event_and_sees_a_new_clip(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    for tab in ("generate", "history"):
        one.choose(tab)
        page.locator(
            {"generate": "#generate-preview", "history": "#history-list-view *"}[tab]
        ).first.wait_for()
        count = count_requests(page)
        until_quiet(page, count)
        before = count("/gradio_api/")
        seen = count("/changes")
        until_looks(page, count, seen + LOOKS)
        assert count("/gradio_api/") == before, tab
    told = record("A sentence from elsewhere")
    clip = write_spoken(studio.root / "results" / "clara" / "09001-elsewhere.wav", told)
    page.get_by_text("A sentence from elsewhere").first.wait_for()
    clip.unlink()


def until_looks(page: Any, count: Callable[[str], int], wanted: int) -> None:
    """Wait until the change signal was asked so often."""

    def look() -> bool:
        page.wait_for_timeout(100)  # lets Playwright handle its events
        return count("/changes") >= wanted

    until(look, within_s=60, what="requests of the change signal")


def until_quiet(page: Any, count: Callable[[str], int]) -> None:
    """Wait until several looks at the signal pass without an event."""

    def look() -> bool:
        events = count("/gradio_api/")
        until_looks(page, count, count("/changes") + LOOKS)
        return count("/gradio_api/") == events

    until(look, within_s=120, what="quiet page")

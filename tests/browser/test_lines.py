"""The lines of a clip in the page: one player, edited in place, put in order; and the queue."""

from __future__ import annotations

from collections.abc import Callable

from browser.server import StudioProcess, until
from browser.visitor import Visitor

TEXT = "The harbour was quiet. A gull sat on the rail. Nobody spoke for a while."


def test_lines_are_edited_regenerated_and_put_in_order(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    one.set("generate-text", TEXT)
    one.unfold()
    one.set("generate-piece-chars", 30)
    one.control("generate-run").click()
    card = page.locator("article.job.newest", has_text="The harbour")
    rows = card.locator("[data-line]")
    card.locator(".wave.is-drawn canvas").first.wait_for(state="attached")
    assert rows.count() == 3 and card.locator(".marks i").count() == 2

    rows.nth(1).locator("[data-play]").click()
    page.wait_for_function("() => document.querySelector('[data-clip] audio').currentTime > 0")
    field = rows.nth(1).locator("textarea")
    field.fill("A gull sat there.")
    field.press("Enter")
    takes = rows.nth(1).locator("[data-take]")
    takes.nth(1).wait_for()
    assert takes.nth(1).get_attribute("aria-pressed") == "true"
    assert page.locator("article.job.newest").count() == 1  # a redo adds no card

    rows.nth(1).focus()
    page.keyboard.press("1")
    card.locator("[data-take][aria-pressed=true]", has_text="1").wait_for()
    rows.nth(0).locator("summary").click()
    rows.nth(0).get_by_role("button", name="Join with the next").click()
    until(lambda: rows.count() == 2, within_s=60, what="joined line", every_s=0.2)
    assert rows.nth(0).locator("textarea").input_value().startswith("The harbour was quiet. A gull")
    redo = [job for job in studio.jobs() if job["task"] in ("redo", "edit_lines", "rejoin")]
    assert len(redo) == 3 and {job["state"] for job in redo} == {"done"}


def test_the_queue_is_paused_put_in_order_and_emptied_on_any_tab(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    page.locator("#queue-open").click()
    page.get_by_role("button", name="Pause the queue").click()
    page.get_by_role("button", name="Continue").wait_for()
    queued = page.locator("#queue-panel [data-queued]")
    for number, text in enumerate(("The first text.", "The second text.")):
        one.set("generate-text", text)
        one.control("generate-run").click()
        queued.nth(number).wait_for()
    one.choose("settings")
    titles = queued.locator(".title")
    queued.nth(1).drag_to(queued.nth(0))
    until(
        lambda: titles.all_inner_texts() == ["The second text.", "The first text."],
        within_s=60,
        what="other order",
        every_s=0.2,
    )
    page.get_by_role("button", name="Cancel all that wait").click()
    page.get_by_text("Nothing is running or waiting.").wait_for()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Pause the queue").wait_for()
    page.keyboard.press("Escape")
    page.locator("#queue-panel").wait_for(state="hidden")

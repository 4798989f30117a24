"""The lines of a clip in the page: one player, edited in place, put in order; and the queue."""

from __future__ import annotations

import json
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


def test_two_settings_are_compared_and_those_of_a_take_are_used(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    one.set("generate-text", "A grid of settings.")
    one.control("generate-run").click()
    card = page.locator("article.job.newest", has_text="A grid of settings.")
    grid = card.locator(".settings-grid")
    grid.locator("summary").click()
    grid.locator("[data-field=setting1]").select_option("temperature")
    grid.locator("[data-field=values1]").fill("0.5, 1.1")
    grid.locator("[data-field=setting2]").select_option("iterations")
    grid.locator("[data-field=values2]").fill("3, 5")
    grid.get_by_role("button", name="Generate all combinations").click()
    takes = card.locator(".take-grid")
    takes.locator("summary", has_text="Compare 5 takes").click()
    row = takes.locator("tbody tr", has_text="Temperature (Stability) 1.1")
    row = row.filter(has_text="Iterations 5")
    row.get_by_role("button", name="Copy the settings of take 5").click()
    page.get_by_text("Settings loaded from take.").wait_for()
    field = page.locator("#generate-temperature input[type=number]")
    until(lambda: field.input_value() == "1.1", within_s=60, what="temperature of the take")
    assert page.locator("#generate-text textarea").input_value() == "A grid of settings."
    (job,) = (job for job in studio.jobs() if job["task"] == "redo" and job["request"].get("grid"))
    assert job["request"]["grid"] == {"temperature": [0.5, 1.1], "iterations": [3, 5]}


def marks(words: str) -> str:
    """Tell in JavaScript whether one of these words is marked as spoken."""
    mark = "String([...CSS.highlights.get('spoken-word')][0])"
    return f"() => CSS.highlights.has('spoken-word') && /^({words})/.test({mark})"


def test_the_spoken_word_is_marked_and_a_click_on_a_word_goes_there(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    text = "The old lighthouse was dark. Two small boats came home. Everyone had a cup of tea."
    one = visitor(reduced_motion="reduce")
    page = one.open(studio.url)
    one.set("generate-text", text)
    one.unfold()
    one.set("generate-piece-chars", 30)
    one.control("generate-run").click()
    card = page.locator("article.job.newest", has_text="The old lighthouse")
    rows = card.locator("[data-line]")
    rows.nth(2).wait_for()
    tell_word_times(studio)
    page.reload()
    page.wait_for_selector("article.job.newest [data-line]")
    rows.nth(1).locator("[data-play]").click()
    page.wait_for_function(marks("Two|boats|came|home"))
    assert card.locator(".spoken-mirror").get_attribute("aria-hidden") == "true"
    page.wait_for_function("() => document.querySelector('[data-clip] audio').paused")

    field = rows.nth(0).locator("textarea")
    place = field.evaluate(
        """(node) => { const mirror = document.createElement('div');
        mirror.className = 'spoken-mirror'; mirror.textContent = node.value;
        node.parentNode.append(mirror); mirror.style.width = `${node.offsetWidth}px`;
        mirror.style.left = `${node.offsetLeft}px`; mirror.style.top = `${node.offsetTop}px`;
        const range = new Range(), at = node.value.indexOf('dark');
        range.setStart(mirror.firstChild, at); range.setEnd(mirror.firstChild, at + 4);
        const box = range.getBoundingClientRect(); mirror.remove();
        return [box.x + box.width / 2, box.y + box.height / 2]; }"""
    )
    page.mouse.click(*place)
    page.wait_for_function(marks("dark"))
    start = line_words(studio, 0)["dark."]
    seconds = card.locator("audio").first.evaluate("(node) => node.currentTime")
    assert abs(seconds - start) < 0.05
    assert field.evaluate("(node) => node === document.activeElement")  # it can be edited too
    field.fill("The lighthouse was bright.")
    page.wait_for_function("() => !CSS.highlights.has('spoken-word')")
    assert page.locator(".spoken-mirror").count() == 0
    announced = page.locator("[aria-live] .spoken-mirror, [role=status] .spoken-mirror")
    assert announced.count() == 0


def tell_word_times(studio: StudioProcess) -> None:
    """Put evenly spread times of words into the newest clip; the model of noise has none."""
    path = max(
        studio.root.glob("results/*/*.lines/lines.json"), key=lambda one: one.stat().st_mtime
    )
    lines = json.loads(path.read_text(encoding="utf-8"))
    for line in lines["lines"]:
        for take in line["takes"]:
            count = len(take["heard"].split())
            length = take["seconds"] / count
            take["word_times"] = [length * (at // 2 + at % 2) for at in range(2 * count)]
    path.write_text(json.dumps(lines), encoding="utf-8")


def line_words(studio: StudioProcess, line: int) -> dict[str, float]:
    """When the words of a line of the newest clip begin."""
    ref = studio.get("api/results")["results"][0]["ref"]
    found = studio.get(f"api/results/words/{ref}")["lines"][line]["words"]
    return {word: start for word, start, _ in found}


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

"""From a dataset to a voice that was learned, as somebody does it who has only the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from browser.server import StudioProcess, make_root
from browser.test_looks import CUT_OFF, GRAVE, SIDEWAYS, SIZES, THEMES
from browser.visitor import Visitor
from support.tiny_dataset import make_tiny_dataset

pytestmark = pytest.mark.slow  # real trainings; run with -m slow

STEPS, EVERY = 6000, 100  # minutes: it is stopped and goes on meanwhile
PATIENCE_MS = 240_000  # for what a training does on a machine that others use too
LOADS = """
(player) => new Promise((done) => {
  player.onloadedmetadata = () => done(player.duration);
  player.onerror = () => done(-1);
  player.preload = 'metadata';
  player.load();
})
"""


@pytest.fixture(scope="module")
def school(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with a dataset that its bundle can learn from."""
    root = make_root(tmp_path_factory.mktemp("school") / "root")
    make_tiny_dataset(root / "training", "hum", voice="clara")
    running = StudioProcess(root)
    try:
        yield running.start()
    finally:
        running.close()


def part(one: Visitor, name: str) -> None:
    """Choose one of the three parts of the tab Training."""
    one.page.locator("#training-parts").get_by_role("tab", name=name, exact=True).click()


def see(one: Visitor, words: str, within: str) -> None:
    """Wait until words stand in a place."""
    one.page.locator(within, has_text=words).first.wait_for(timeout=PATIENCE_MS)


def press(one: Visitor, name: str, within: str = "body") -> None:
    """Press a button that the server painted, the first of that name."""
    one.page.locator(within).get_by_role("button", name=name, exact=True).first.click(
        timeout=PATIENCE_MS
    )


def test_a_voice_is_learned_on_the_page_alone(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    one.forgive_ended_server()
    one.open(school.url, "training")
    configure(one, school.root)
    train_and_stop(one)
    school.end()
    school.start()
    resume_before_two(one, visitor(), school)
    speak_with_it(one, school)


def configure(one: Visitor, root: Path) -> None:
    """Propose, mend what was found, try a step, save."""
    part(one, "Generate Configuration")
    see(one, "Suggested from the dataset", "#training-configure-message")
    see(one, "cannot be synthesized", "#training-configure-plan")
    one.page.locator("#training-configure-plan button[aria-label^='Fix it: Use another']").click()
    one.page.locator("#training-configure-plan", has_text="cannot be synthesized").wait_for(
        state="hidden", timeout=PATIENCE_MS
    )
    one.set("training-configure-learns", "GPT")
    one.set("training-configure-schedule-steps", STEPS)
    one.set("training-configure-optimizer-batch", 4)
    for fold in ("Advanced", "Checkpoints", "Samples"):
        one.page.locator("#tab-training .label-wrap:visible", has_text=fold).click()
    one.set("training-configure-samples-text", "the cat sat")
    one.set("training-configure-samples-judge", False)
    one.set("training-configure-checkpoints-every", EVERY)
    see(one, f"{STEPS:,}", "#training-configure-plan dd")
    see(one, f"{STEPS // EVERY} ×", "#training-configure-plan dd")
    one.control("training-configure-try").click()
    see(one, "Batch size", "#training-configure-tried")
    see(one, "about", "#training-configure-plan dd")  # the time is known now
    one.control("training-configure-save").click()
    see(one, "training/hum/train.yaml", "#training-configure-saved")
    assert f"steps: {STEPS}" in (root / "training" / "hum" / "train.yaml").read_text()
    one.control("training-configure-onward").click()


def train_and_stop(one: Visitor) -> None:
    """Begin, see curves and a sample that plays, stop."""
    view = "#training-train"
    see(one, "No runs yet", view)
    see_value(one, "#training-train-config input", "hum")  # saved a moment ago
    one.set("training-train-name", "first")
    one.control("training-train-run").click()
    see(one, "Training", f"{view} .state")
    for curve in ("loss", "rate", "gradient"):
        plot = one.page.locator(f"#training-gpt-{curve} :is(canvas, svg.marks)")
        plot.first.wait_for(timeout=PATIENCE_MS)
    see(one, "Gradient norm: ", f"{view} .visually-hidden")
    player = one.page.locator(f"{view} .checkpoints audio").first
    player.wait_for(timeout=PATIENCE_MS)
    assert player.evaluate(LOADS) > 0.1
    one.control("training-train-stop").click()
    see(one, "Stopped", f"{view} .state")


def resume_before_two(one: Visitor, other: Visitor, school: StudioProcess) -> None:
    """After a restart of the studio it is all there; it goes on, and a second browser sees it."""
    one.open(school.url, "training")
    part(one, "Train")
    see(one, "Stopped", "#training-train .state")
    assert one.page.locator("#training-train .checkpoints audio").count() >= 1
    one.page.locator("#training-train-resume:not([disabled])").click()
    see(one, "Training", "#training-train .state")
    other.open(school.url, "training")
    part(other, "Train")
    see(other, "hum / first", "#training-train h2")
    one.page.reload()
    one.page.wait_for_selector("#generate-text")
    one.choose("training")
    part(one, "Train")
    see(one, "hum / first", "#training-train h2")
    other.control("training-train-stop").click()
    for each in (one, other):
        see(each, "Stopped", "#training-train .state")


def speak_with_it(one: Visitor, school: StudioProcess) -> None:
    """A checkpoint becomes a model, and Generate speaks with it."""
    one.page.locator("#training-train .mark.best").wait_for()
    press(one, "Export", "#training-train")
    see(one, "Exporting step", "#training-train-message")
    press(one, "Generate with it", "#training-train")
    run = one.control("generate-run")
    run.wait_for(state="visible")
    see_value(one, "#generate-voice input", "clara")
    one.page.locator("#generate-advanced > .label-wrap").click()
    see_value(one, "#generate-bundle input", "finetunes/hum-first")
    one.set("generate-text", "the cat sat")
    run.click()
    one.page.locator("#generate-jobs article.is-done audio").first.wait_for(timeout=PATIENCE_MS)
    (job,) = [job for job in school.jobs() if job["task"] == "speak"]
    assert job["request"]["bundle"] == "finetunes/hum-first"


def see_value(one: Visitor, field: str, value: str) -> None:
    """Wait until a field holds a value."""
    script = "([field, value]) => document.querySelector(field)?.value === value"
    one.page.wait_for_function(script, arg=[field, value])


def watched_places(page: Any) -> dict[str, str]:
    """Return the tokens of the panels that the page watches: to the places of the panels."""
    code = "() => [...window.testudo.watchers.values()].map((one) => [one.token, one.place])"
    return dict(page.evaluate(code))


def test_train_is_watched_only_while_it_is_shown(
    school: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(school.url, "training")
    looks: Counter[str] = Counter()

    def note(request: Any) -> None:
        address = urlsplit(request.url)
        if address.path.endswith("/changes"):
            tokens = parse_qs(address.query)["tokens"][0].split(",")
            places = watched_places(page)
            looks.update(places[token] for token in tokens)

    def wait_for_looks(*places: str, count: int = 2) -> None:
        """Wait until the state of each panel was asked for that often."""
        looks.clear()
        while any(looks[place] < count for place in places):
            note(page.wait_for_event("request"))

    always, train, history = "generate-jobs", "training-run", "history-list"
    part(one, "Train")
    wait_for_looks(train, always)
    one.choose("history")
    wait_for_looks(history)  # until no look at Train is on its way any more
    wait_for_looks(history, always, count=6)
    assert looks[train] == 0, "Train is watched while another tab is shown"
    one.choose("training")
    wait_for_looks(train, always)
    assert looks[history] <= 1, "at most one look at History was on its way"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_both_parts_look_right_and_can_be_reached(
    size: str,
    theme: str,
    school: StudioProcess,
    visitor: Callable[..., Visitor],
    screenshots: Path,
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = SIZES[size]
    viewport = {"width": width, "height": height}
    one = visitor(color_scheme=theme, viewport=viewport, reduced_motion="reduce")
    page = one.open(school.url, "training")
    grave = []
    for name, ready in (
        ("Generate Configuration", "#training-configure-rate :is(canvas, svg.marks)"),
        ("Train", "#training-train :is(.run, .hint)"),
    ):
        part(one, name)
        page.locator(ready).first.wait_for(timeout=PATIENCE_MS)
        one.settle()
        one.keep(screenshots / f"training-{name.split()[-1].lower()}-{size}-{theme}.png")
        assert (page.evaluate(CUT_OFF), page.evaluate(SIDEWAYS)) == ([], 0)
        found = Axe().run(page).response["violations"]
        grave += [(name, item["id"]) for item in found if item["impact"] in GRAVE]
    assert grave == []

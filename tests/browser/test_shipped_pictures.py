"""The studio as it is shipped: its first sound, and the pictures of it in docs/.

Minutes of work, so on demand: `./test.sh tests/browser/test_shipped_pictures.py -m slow`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from browser.server import REPOSITORY, StudioProcess, until
from browser.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]
SIZES = ((1440, 900), (390, 844))
PHONE_WIDTH = 600
SMALL = 100_000  # bytes of a picture
LINES = (
    ("clara", "Good evening, and welcome. This voice was made on this very machine."),
    ("iris", "Thank you. The answer is on the last page."),
    ("felix", "The ferry leaves at 7 in the morning. Please be at the pier by 6:30, Mr. Smith."),
)


@pytest.fixture(scope="module")
def shipped(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with what the repository ships, and nothing else."""
    root = tmp_path_factory.mktemp("shipped")
    for folder in ("voices", "models/starter"):
        shutil.copytree(REPOSITORY / folder, root / folder)
    running = StudioProcess(root)
    try:
        yield running.start()
    finally:
        running.close()


def test_the_shipped_studio_speaks_and_shows_itself(
    shipped: StudioProcess,
    visitor: Callable[..., Visitor],
    measured: Callable[[str, str], None],
) -> None:
    one = visitor(color_scheme="light")
    page = one.open(shipped.url)
    measured("shipped studio", f"{shipped.start_s:.1f} s until the page is there")
    one.set("generate-preset", "Ultra Fast")
    begun = time.monotonic()
    one.control("generate-run").click()
    page.locator("article.job.is-done audio").first.wait_for(state="attached", timeout=600_000)
    measured("shipped studio", f"{time.monotonic() - begun:.1f} s from Generate to sound")
    speak_more(one, shipped)
    clip = sorted((shipped.root / "results").glob("*/*.wav"))[0]
    for width, height in SIZES:
        for theme in ("light", "dark"):
            size = {"width": width, "height": height}
            seen = visitor(color_scheme=theme, viewport=size)
            for tab, show in SHOWN.items():
                show(seen.open(shipped.url, tab), clip)
                save(seen, f"{tab}-{width}-{theme}")


def show_generate(page: Any, clip: Path) -> None:
    """Show what will be spoken, beside the clips."""
    page.locator("article.job.is-done").nth(len(LINES) - 1).wait_for()
    if page.viewport_size["width"] > PHONE_WIDTH:
        page.locator("#generate-preview summary").click()


def show_history(page: Any, clip: Path) -> None:
    """Open a clip."""
    page.locator("#history-list li.clip").nth(0).locator(".open").click()
    page.locator("#history-list .panel audio").first.wait_for()
    page.locator("#history-list svg.mini path").nth(2).wait_for(state="attached")


def show_utilities(page: Any, clip: Path) -> None:
    """Drop a clip, and let it be checked."""
    page.locator("#utilities-drop input[type=file]").set_input_files(clip)
    page.locator("#utilities-clip").get_by_text("Seed").first.wait_for()
    page.locator("#utilities-check").click()
    page.locator("#utilities-checked").get_by_text("Length").first.wait_for()


def show_tab(page: Any, clip: Path) -> None:
    """Show a tab as it opens."""


SHOWN: dict[str, Callable[[Any, Path], None]] = {
    "generate": show_generate,
    "history": show_history,
    "utilities": show_utilities,
    "training": show_tab,
    "settings": show_tab,
}


def speak_more(one: Visitor, shipped: StudioProcess) -> None:
    """Speak the other texts and wait for all of it."""
    for voice, text in LINES[1:]:
        one.set("generate-voice", voice)
        one.set("generate-text", text)
        count = len(shipped.jobs())
        one.control("generate-run").click()
        until(lambda count=count: len(shipped.jobs()) > count, within_s=60, what="job")
    until(
        lambda: all(job["state"] == "done" for job in shipped.jobs()),
        within_s=1_200,
        what="end of all jobs",
    )
    one.page.locator("article.job.is-done").nth(len(LINES) - 1).wait_for()


def save(one: Visitor, name: str) -> None:
    """Keep what is in the window, in 128 colours, as docs/pages/NAME.png."""
    one.page.mouse.move(0, 0)
    one.page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    one.settle()
    path = REPOSITORY / "docs" / "pages" / f"{name}.png"
    seen = Image.open(BytesIO(one.page.screenshot()))
    part = path.with_suffix(".part")
    path.parent.mkdir(exist_ok=True)
    seen.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(part, "PNG", optimize=True)
    assert part.stat().st_size < SMALL
    part.replace(path)

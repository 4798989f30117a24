"""Clicks and seconds of ten tasks on the page, and the memory that lines take in a browser.

python benchmarks/page_tasks.py [--task NAME ...] [--lines N ...] [--no-memory]

Starts the server with the starter model in a temporary folder, and Chromium. A click is a press of
a button, a tab, a box or a row; a text that is typed, and a dialog of files, count as one each. The
seconds are those until the result is there, with no time for reading.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT), str(ROOT / "tests")]

PATIENCE_MS = 900_000
LONG_VOICE = "everyone"
PARAGRAPHS = (
    "The harbour was quiet in the morning.\n\nA gull sat on the rail and looked at the water.\n\n"
    "Nobody spoke until the boats came home."
)
COUNT = """() => { const card = document.querySelector('article.job.newest'); return [
    card.querySelectorAll('audio').length, card.querySelectorAll('.wave.is-drawn').length,
    card.querySelectorAll('*').length]; }"""


@dataclass
class Hand:
    """Somebody at the page, who counts.  clicks, texts, files: what they did so far."""

    one: Any  # browser.visitor.Visitor
    root: Path
    clicks: int = 0
    texts: int = 0
    files: int = 0

    @property
    def page(self) -> Any:
        """Playwright's page."""
        return self.one.page

    def click(self, place: Any) -> None:
        """Press something; a selector or a locator."""
        found = self.page.locator(place).first if isinstance(place, str) else place
        found.click(timeout=PATIENCE_MS)
        self.clicks += 1

    def press(self, name: str, within: str = "body") -> None:
        """Press the first button of a name."""
        self.click(self.page.locator(within).get_by_role("button", name=name, exact=True).first)

    def choose(self, tab: str) -> None:
        """Choose a tab."""
        self.one.choose(tab)
        self.clicks += 1

    def type(self, control: str, text: str) -> None:
        """Fill a field."""
        self.one.set(control, text)
        self.texts += 1

    def give(self, field: str, files: list[Path]) -> None:
        """Choose files."""
        self.page.locator(f"{field} input[type=file]").set_input_files(files)
        self.files += 1

    def see(self, selector: str, state: str = "attached") -> None:
        """Wait until something is there."""
        self.page.locator(selector).first.wait_for(state=state, timeout=PATIENCE_MS)


def first_sound(hand: Hand) -> None:
    hand.click("#generate-run")
    hand.see("article.job.newest audio")


def three_paragraphs(hand: Hand) -> None:
    hand.type("generate-text", PARAGRAPHS)
    hand.click("#generate-run")
    hand.see("article.job.newest [data-line='2']")


def redo_a_line(hand: Hand) -> None:
    hand.click("article.job.newest [data-line='1'] [data-act=redo]")
    hand.see("article.job.newest [data-line='1'] [data-take] + [data-take]")


def new_voice(hand: Hand) -> None:
    clips = sorted((ROOT / "voices" / "felix").glob("*.flac"))[:3]
    hand.choose("utilities")
    hand.click(hand.page.get_by_role("tab", name="Voices", exact=True))
    hand.give("#utilities-voices-files", clips)
    hand.type("utilities-voices-name", "frieda")
    hand.page.locator("#utilities-voices-files").get_by_text(clips[-1].stem[:8]).first.wait_for()
    hand.click("#utilities-voices-add")
    hand.page.locator("#utilities-voices").get_by_text("frieda").first.wait_for(timeout=PATIENCE_MS)


def settings_of_an_old_clip(hand: Hand) -> None:
    hand.choose("history")
    hand.click("#history-list li.clip .open")
    hand.click("#history-copy")
    hand.see("#generate-run", "visible")


def compare_two(hand: Hand) -> None:
    hand.choose("history")
    choose_two(hand)
    hand.click("#history-compare")
    hand.see("#history-list .panel .compared audio")


def choose_two(hand: Hand) -> None:
    boxes = hand.page.locator("#history-list li.clip input[type=checkbox]")
    for number in range(2):
        hand.click(boxes.nth(number))


def dataset(hand: Hand) -> None:
    hand.choose("training")
    hand.one.set("training-prepare-voice", LONG_VOICE)
    hand.clicks += 2  # the list, and the voice in it
    hand.click("#training-prepare-run")
    hand.see("#training-prepare-jobs .job.is-done")


def train(hand: Hand) -> None:
    hand.choose("training")
    hand.click(hand.page.get_by_role("tab", name="Generate Configuration", exact=True))
    hand.see("#training-configure-plan dd")
    hand.click("#training-configure-save")
    hand.click("#training-configure-onward")
    hand.click("#training-train-run:not([disabled])")
    hand.page.locator("#training-train .state", has_text="Training").first.wait_for(
        timeout=PATIENCE_MS
    )


def export_zip(hand: Hand) -> None:
    hand.choose("history")
    choose_two(hand)
    hand.click("#history-export")
    hand.see("#history-zip")


def backup(hand: Hand) -> None:
    hand.choose("settings")
    hand.click("#settings-backup")
    hand.see("#settings-storage-message a[download]")


TASKS: dict[str, Callable[[Hand], None]] = {
    "settings of an old clip": settings_of_an_old_clip,
    "compare two": compare_two,
    "export zip": export_zip,
    "backup": backup,
    "new voice from three files": new_voice,
    "first sound": first_sound,
    "three paragraphs": three_paragraphs,
    "redo a line": redo_a_line,
    "dataset": dataset,
    "train": train,
}


def main() -> int:
    """Do the tasks and print two tables."""
    flags = _parse_flags()
    from playwright.sync_api import sync_playwright

    from browser.clips import write_project
    from browser.conftest import PROGRAMS, QUIET
    from browser.server import StudioProcess

    program = os.environ.get("TESTUDO_BROWSER") or next(
        (path for name in PROGRAMS if (path := shutil.which(name))), None
    )
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        root = Path(place)
        for name in ("voices", "models"):
            shutil.copytree(ROOT / name, root / name)
        make_long_voice(root)
        for count in (2, 3):  # old clips, for History
            write_project(root, count)
        studio = StudioProcess(root).start()
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            load = f"load {os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else ""
            print_line(f"{platform.machine()}, {os.cpu_count()} cores, {load}\n")
            if not flags.no_memory:
                measure_memory(browser, studio, flags.lines)
            do_tasks(browser, studio, flags.task or list(TASKS))
        finally:
            browser.close()
            studio.close()
    return 0


def make_long_voice(root: Path) -> None:
    """Write a voice with the clips of all shipped ones: each alone is too short for a training."""
    folder = root / "voices" / LONG_VOICE
    folder.mkdir()
    for clip in sorted((ROOT / "voices").glob("*/*.flac")):
        shutil.copyfile(clip, folder / f"{clip.parent.name}-{clip.name}")


def do_tasks(browser: Any, studio: Any, names: list[str]) -> None:
    """Do tasks one after the other in one browser, which is opened anew for each."""
    from browser.visitor import Visitor

    print_line("\n| task | clicks | texts | files | seconds |\n|---|---|---|---|---|")
    for name in names:
        hand = Hand(Visitor(browser), studio.root)
        hand.one.open(studio.url)
        hand.one.settle()
        begun = time.monotonic()
        try:
            TASKS[name](hand)
            took = f"{time.monotonic() - begun:.1f}"
        except Exception as cause:  # the other tasks are measured all the same
            took = f"failed: {str(cause).splitlines()[0]}"
        print_line(f"| {name} | {hand.clicks} | {hand.texts} | {hand.files} | {took} |")
        hand.one.leave()


def measure_memory(browser: Any, studio: Any, counts: list[int]) -> None:
    """Open projects of so many lines, each in a browser of its own."""
    from browser.clips import write_project
    from browser.test_projects import open_project
    from browser.visitor import Visitor

    print_line(
        "| lines | players | waveforms | elements of the card | JS heap | nodes of the page |\n"
        "|---|---|---|---|---|---|"
    )
    for count in counts:
        write_project(studio.root, count)
        one = Visitor(browser)
        page = one.open(studio.url)
        open_project(page, f"{count} lines")
        page.locator("article.job.newest .wave.is-drawn").wait_for(state="attached")
        session = one.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        nodes = session.send("Memory.getDOMCounters")["nodes"]
        players, waves, elements = page.evaluate(COUNT)
        print_line(f"| {count} | {players} | {waves} | {elements:,} | {heap:.1f} MB | {nodes:,} |")
        one.leave()


def print_line(text: str) -> None:
    """Print at once, since tasks take minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--lines", type=int, nargs="+", default=[2, 50, 200])
    parser.add_argument("--no-memory", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""The speaker lab and Train Encoder, as somebody uses them who has only the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip, write_clip
from browser.server import REPOSITORY, StudioProcess, make_root, until
from browser.test_looks import CUT_OFF, GRAVE, SIDEWAYS, THEMES
from browser.visitor import Visitor
from studio.encoders.service import RECIPES

SIZES = {"wide": (1440, 900), "phone": (390, 800)}
STEPS = 30
PATIENCE_MS = 600_000  # for jobs and a training on a machine that others use too


@pytest.fixture(scope="module")
def lab(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with four voices."""
    root = make_root(tmp_path_factory.mktemp("lab") / "root")
    for voice in ("iris", "martin"):
        shutil.copytree(REPOSITORY / "voices" / voice, root / "voices" / voice)
    running = StudioProcess(root)
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in which clara speaks first, then felix."""
    voices = REPOSITORY / "tests" / "assets" / "voices"
    clips = [read_clip(voices / name / "1.flac") for name in ("clara", "felix")]
    waves = [clip.resample(24_000).wave for clip in clips]
    path = tmp_path_factory.mktemp("dialogue") / "dialogue.wav"
    write_clip(path, Clip(wave=torch.cat(waves), sample_rate=24_000))
    return path


def open_part(one: Visitor, tab: str, part: str) -> None:
    """Choose a tab and one of its parts."""
    one.choose(tab)
    one.page.locator(f"#tab-{tab}").get_by_role("tab", name=part, exact=True).click()


def test_voices_are_compared_a_second_speaker_found_and_a_point_played(
    lab: StudioProcess, dialogue: Path, visitor: Callable[..., Visitor]
) -> None:
    pytest.importorskip("sklearn")
    one = visitor()
    page = one.open(lab.url)
    open_part(one, "utilities", "Speaker lab")
    one.page.set_default_timeout(PATIENCE_MS)
    one.control("utilities-lab-compare").click()
    one.control("utilities-lab-recording").locator("input[type=file]").set_input_files(dialogue)
    page.locator("#utilities-lab-recording").get_by_text("dialogue.wav").first.wait_for()
    one.control("utilities-lab-find").click()
    one.set("utilities-lab-method", "PCA")
    one.control("utilities-lab-map").click()
    page.locator("#utilities-compared table.similarity").get_by_text("clara").first.wait_for()
    found = page.locator("#utilities-speakers")
    found.get_by_text("2 speakers").wait_for()
    found.locator(".waveform rect.speaker-2").first.wait_for(state="attached")
    found.get_by_role("button", name="speaker 2").first.click()
    page.wait_for_function(
        "() => document.querySelector('#utilities-speakers audio').currentTime > 1"
    )
    points = page.locator("#utilities-mapped .speaker-map button")
    points.first.dispatch_event("click")
    page.locator("#utilities-lab-player").get_by_text("1.flac").first.wait_for()
    assert points.count() == 16


def test_an_encoder_is_preprocessed_and_trained_with_a_live_view(
    lab: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(lab.url)
    open_part(one, "training", "Train Encoder")
    one.page.set_default_timeout(PATIENCE_MS)
    one.control("training-encoder-preprocess").click()
    page.locator("#training-encoder-job").get_by_text("4 speakers").wait_for()
    one.set("training-encoder-config-steps", STEPS)
    one.set("training-encoder-config-hidden", 16)
    one.control("training-encoder-train").click()
    run = page.locator("#training-encoder-run")
    run.get_by_text("Done").first.wait_for()
    run.get_by_text(f"{STEPS} of {STEPS}", exact=True).wait_for()
    page.locator("#training-encoder-plot-loss :is(canvas, svg.marks)").first.wait_for()


@pytest.mark.parametrize("theme", THEMES)
def test_results_are_readable_on_every_screen(
    theme: str, lab: StudioProcess, visitor: Callable[..., Visitor], screenshots: Path
) -> None:
    """After the tests above, whose results every browser sees."""
    from axe_playwright_python.sync_playwright import Axe

    one = visitor(color_scheme=theme, reduced_motion="reduce")
    page = one.open(lab.url)
    for tab, part in (("utilities", "Speaker lab"), ("training", "Train Encoder")):
        open_part(one, tab, part)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            one.settle()
            one.keep(screenshots / f"{tab}-lab-{size}-{theme}.png")
            assert (page.evaluate(CUT_OFF), page.evaluate(SIDEWAYS)) == ([], 0)
        violations = Axe().run(page).response["violations"]
        assert [
            (item["id"], node["target"])
            for item in violations
            for node in item["nodes"]
            if item["impact"] in GRAVE
        ] == []


def test_a_recipe_sets_the_options_without_an_answer_of_the_server(
    lab: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    one.open(lab.url)
    open_part(one, "training", "Train Encoder")
    one.unfold()
    one.wait_for_answers()
    one.slow_down(by_s=3600)
    one.set("training-encoder-recipe", RECIPES["ge2e"].label)
    hidden = one.control("training-encoder-config-hidden").locator("input").first
    until(lambda: hidden.input_value() == "256", within_s=60, what="the units of the recipe")

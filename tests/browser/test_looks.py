"""Every tab in both themes, on a phone and enlarged: readable, reachable, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser.server import StudioProcess
from browser.visitor import TABS, Visitor

THEMES = ("light", "dark")
SIZES = {"wide": (1280, 900), "phone": (380, 800)}
GRAVE = ("serious", "critical")
# What reaches out of the window and cannot be scrolled to by itself.
CUT_OFF = """
() => {
  const scrolls = (node) => {
    for (let up = node.parentElement; up; up = up.parentElement) {
      if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX)) return true;
    }
    return false;
  };
  const wanted = 'button, input, textarea, select, a[href], label, h1, h2, h3, p, audio';
  return [...document.querySelectorAll(wanted)].filter((node) => {
    const box = node.getBoundingClientRect();
    if (!node.checkVisibility({visibilityProperty: true, opacityProperty: true})) return false;
    if (box.width < 2 || box.height < 2 || scrolls(node)) return false;
    return box.left < -1 || box.right > document.documentElement.clientWidth + 1;
  }).map((node) => node.tagName + ' ' + (node.closest('[id]')?.id ?? '') + ' ' +
    (node.textContent ?? '').trim().slice(0, 40));
}
"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS = """
() => {
  const node = document.activeElement;
  if (!node || node === document.body || node.tagName === 'AUDIO') return null;  // draws its own
  const looks = (one) => {
    const style = getComputedStyle(one);
    return [style.outlineStyle === 'none' ? '' : style.outlineWidth + style.outlineColor,
            style.boxShadow, style.borderColor, style.backgroundColor].join('|');
  };
  const around = [];  // of a list, its frame shows the focus
  for (let up = node; up && around.length < 4; up = up.parentElement) around.push(up);
  const focused = around.map(looks);
  node.blur();
  const plain = around.map(looks);
  node.focus({focusVisible: true});
  return {what: node.tagName + ' ' + (node.id || node.closest('[id]')?.id || ''),
          differs: focused.some((look, at) => look !== plain[at])};
}
"""


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_on_any_tab(
    theme: str, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    one = visitor(color_scheme=theme, reduced_motion="reduce")
    page = one.open(studio.url)
    # Of all rules only the contrast depends on the theme.
    rules = {"runOnly": ["color-contrast"]} if theme == "dark" else {}
    options = {"resultTypes": ["violations"], **rules}
    found = []
    for shown in (part for tab in TABS for part in one.parts(tab)):
        found += [
            (shown, item["id"], node["target"], node["failureSummary"])
            for item in Axe().run(page, options=options).response["violations"]
            for node in item["nodes"]
            if item["impact"] in GRAVE
        ]
    assert found == []


@pytest.mark.parametrize(
    ("width", "scale"), [(380, 1), (640, 2)], ids=["a phone", "1280 pixels at 200 %"]
)
def test_all_of_every_tab_is_shown_in_a_narrow_window(
    width: int, scale: int, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor(viewport={"width": width, "height": 700}, device_scale_factor=scale)
    page = one.open(studio.url)
    found = {}
    for shown in (part for tab in TABS for part in one.parts(tab)):
        found[shown] = (page.evaluate(CUT_OFF), page.evaluate(SIDEWAYS))
    assert found == dict.fromkeys(found, ([], 0))


def test_the_keyboard_reaches_controls_and_shows_where_it_is(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    unmarked = []
    for tab in TABS:
        one.choose(tab)
        reached = []
        for _ in range(15):
            page.keyboard.press("Tab")
            focus = page.evaluate(FOCUS)
            reached += [focus] if focus else []
        assert len({focus["what"] for focus in reached}) >= 3 or tab == "training"
        unmarked += [(tab, focus["what"]) for focus in reached if not focus["differs"]]
    assert unmarked == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_pictures_of_every_tab_are_kept(
    size: str,
    theme: str,
    studio: StudioProcess,
    visitor: Callable[..., Visitor],
    screenshots: Path,
) -> None:
    width, height = SIZES[size]
    one = visitor(color_scheme=theme, viewport={"width": width, "height": height})
    one.open(studio.url)
    for tab in TABS:
        one.choose(tab)
        one.settle()
        picture = screenshots / f"{tab}-{size}-{theme}.png"
        one.keep(picture)
        assert picture.stat().st_size > 5_000


def test_the_dark_theme_is_dark(studio: StudioProcess, visitor: Callable[..., Visitor]) -> None:
    light, dark = (brightness(visitor(color_scheme=theme).open(studio.url)) for theme in THEMES)
    assert light > 200 and dark < 60


def brightness(page: Any) -> float:
    """The mean of red, green and blue behind everything, 0 to 255."""
    code = (
        "() => [document.querySelector('.gradio-container'), document.body]"
        ".map((node) => getComputedStyle(node).backgroundColor.match(/[0-9.]+/g).map(Number))"
        ".find((rgb) => rgb.length === 3 || rgb[3] > 0)"
    )
    return sum(page.evaluate(code)[:3]) / 3

"""Every control of every tab is used once, with good and with bad values: nothing may break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from browser.clips import record, write_spoken
from browser.server import StudioProcess, make_root
from browser.visitor import TABS, Visitor

ODD = 'Odd "words" <b>&amp;</b> ../../x \u202e 日本 {0} %s \\n'
BUTTONS = "button:visible:not([role=tab]):not([disabled]):not(.label-wrap)"
FIELDS = "textarea:visible, input:visible:not([type=file])"
UNNAMED = """
(tab) => [...document.querySelectorAll(
    `#tab-${tab} :is(input, textarea, select, button, [role=combobox], [role=slider])`)]
  .filter((node) => node.checkVisibility({visibilityProperty: true}) && node.type !== 'hidden'
    && node.getBoundingClientRect().width > 1)
  .filter((node) => !(node.labels?.length || node.ariaLabel || node.title
    || node.getAttribute('aria-labelledby') || node.textContent.trim()))
  .map((node) => node.outerHTML.slice(0, 200))
"""


@pytest.fixture(scope="module")
def rough(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with some clips, where everything may be pressed."""
    root = make_root(tmp_path_factory.mktemp("rough") / "root")
    for number, voice in enumerate(("clara", "felix", "clara", "felix"), start=1):
        told = record(f"Spoken sentence {number}", voice)
        write_spoken(root / "results" / voice / f"{number:05d}-spoken.wav", told, seconds=0.5)
    running = StudioProcess(root)
    try:
        yield running.start()
    finally:
        running.close()


@pytest.mark.parametrize("tab", TABS)
def test_fields_take_anything_and_buttons_can_be_pressed(
    tab: str, rough: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor(permissions=["microphone", "clipboard-write"])
    page = one.open(rough.url, tab)
    page.on("dialog", lambda dialog: dialog.accept())
    pressed, before = 0, len(rough.log)
    for shown in one.parts(tab):
        assert (shown, page.evaluate(UNNAMED, tab)) == (shown, [])
        place = page.locator(f"#tab-{tab}")
        for field in place.locator(FIELDS).element_handles():
            use(field)
        for button in place.locator(BUTTONS).element_handles():
            if button.is_visible() and button.is_enabled():
                button.click(force=True)
                one.settle()
                pressed += 1
        if not page.locator(f"#tab-{tab}").is_visible():
            one.choose(tab)  # a button led to another tab, as Copy Settings does
    assert pressed or tab == "training"
    assert "Traceback" not in rough.log[before:]


def use(field: Any) -> None:
    """Use an input as its kind wants to be used."""
    if not (field.is_visible() and field.is_enabled() and field.is_editable()):
        return
    kind = field.get_attribute("type") or "text"
    if kind in ("checkbox", "radio"):
        field.click(force=True)
    elif kind == "range":
        field.press("ArrowRight")
    elif kind == "number":
        field.fill("-999999")
        field.evaluate("(node) => node.blur()")
    elif field.get_attribute("role") in ("combobox", "listbox"):
        field.press("ArrowDown")
        field.press("Enter")
    else:
        field.fill(ODD)
        field.evaluate("(node) => node.blur()")

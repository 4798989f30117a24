"""The page in German: in a browser that asks for it, or by the setting, on every tab."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from browser.server import StudioProcess, make_root
from browser.visitor import TABS, Visitor
from webui.languages.catalogue import PLACEHOLDER, read_entries, split_sentences

TAB_NAMES = {
    "generate": ("Generate", "Erzeugen"),
    "history": ("History", "Verlauf"),
    "utilities": ("Utilities", "Werkzeuge"),
    "training": ("Training", "Training"),
    "settings": ("Settings", "Einstellungen"),
}
GERMAN = {"locale": "de-DE"}
# the texts in view, without what a user wrote or chose
READ_TEXTS = """
() => {
  const skipped = 'script, style, textarea, option, pre, code, audio, .prose#settings-changes, ' +
    '[role=listbox], #settings-log, #settings-system, .heard, .title, .voice-card h3';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    if (!holder || holder.closest(skipped) || !holder.checkVisibility()) continue;
    const text = node.nodeValue.replace(/\\s+/g, ' ').trim();
    if (text) found.push(text);
  }
  const named = [...document.querySelectorAll('[aria-label], [title], [placeholder]')];
  for (const node of named.filter((one) => one.checkVisibility() && !one.closest(skipped))) {
    for (const name of ['aria-label', 'title', 'placeholder']) {
      const text = node.getAttribute(name)?.trim();
      if (text) found.push(text);
    }
  }
  return [...new Set(found)];
}
"""


def list_english_texts() -> frozenset[str]:
    """The texts whose German is another one."""
    entries = read_entries("de")
    german = set(entries.values())
    return frozenset(key for key in entries if key not in german and not PLACEHOLDER.search(key))


def read_texts(page: Any) -> set[str]:
    """The sentences that are in view."""
    return {part for text in page.evaluate(READ_TEXTS) for part in split_sentences(text)}


def show_tab(page: Any, name: str) -> None:
    page.locator(f"#tab-{name}-button").click()
    page.locator(f"#tab-{name}").wait_for(state="visible")


@pytest.mark.parametrize("tab", TABS)
def test_no_text_of_a_tab_stays_english_in_a_german_browser(
    tab: str, studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    someone = visitor(**GERMAN)
    page = someone.open(studio.url)
    assert page.locator(f"#tab-{tab}-button").inner_text().strip() == TAB_NAMES[tab][1]
    show_tab(page, tab)
    someone.unfold()
    parts = [part.get_attribute("id") for part in page.locator(f"#tab-{tab} [role=tab]").all()]
    english = list_english_texts()
    stayed: set[str] = set()
    for part in parts or [""]:
        if part:
            page.locator(f"#{part}").click()
            someone.unfold()
        stayed |= english & read_texts(page)
    assert not stayed, sorted(stayed)


def test_a_clip_is_generated_in_german(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    page = visitor(**GERMAN).open(studio.url)
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.locator("#theme-switch").inner_text() == "Design: System"
    assert page.locator("#queue-open").inner_text().startswith("Warteschlange")
    page.locator("#generate-text textarea").fill("A short line to speak.")
    page.locator("#generate-preview", has_text="Vorschau: 1 Abschnitt").wait_for()
    page.locator("#generate-run").click()
    card = page.locator("#generate-jobs .job.is-done", has_text="A short line to speak.").first
    card.wait_for()
    told = card.inner_text()
    assert "Fertig" in told and "Einstellungen kopieren" in told and "erzeugt in" in told
    assert sorted(list_english_texts() & read_texts(page)) == []


def test_the_setting_is_saved_and_wins_over_the_browser(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio = own_studio()
    page = visitor().open(studio.url, "settings")
    box = page.locator("#settings-language input")
    box.click()
    page.get_by_role("option", name="Deutsch").click()
    page.locator("#settings-save").click()
    page.locator("#settings-message", has_text="Saved.").or_(
        page.locator("#settings-message", has_text="Gespeichert.")
    ).wait_for()
    assert "language: de" in (studio.root / "settings.yaml").read_text(encoding="utf-8")
    again = visitor().open(studio.url)
    assert again.locator("#tab-history-button").inner_text().strip() == "Verlauf"


def test_english_is_shown_where_it_is_set(
    own_studio: Callable[..., StudioProcess],
    visitor: Callable[..., Visitor],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = make_root(tmp_path_factory.mktemp("english") / "root")
    with (root / "settings.yaml").open("a", encoding="utf-8") as settings:
        settings.write(f"language: {json.dumps('en')}\n")
    page = visitor(**GERMAN).open(own_studio(root=root).url)
    names = [page.locator(f"#tab-{tab}-button").inner_text().strip() for tab in TABS]
    assert names == [TAB_NAMES[tab][0] for tab in TABS]
    assert page.locator("#generate-run").inner_text().startswith("Generate")

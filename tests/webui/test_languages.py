"""The languages of the page: every text has an entry, and a request is answered in its language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from markupsafe import Markup

from core.errors import InvalidValueError
from studio.app.studio import Studio
from studio.schemas.settings import Settings
from support.inline_worker import InlineStudio
from support.page_texts import find_entries, list_page_texts
from webui import app
from webui.components.messages import error_html, note_html
from webui.components.templates import render
from webui.languages.blocks import list_script_texts, translate_properties
from webui.languages.catalogue import (
    ENGLISH,
    FOLDER,
    OWN_NAME,
    PLACEHOLDER,
    build_catalogue,
    choose_language,
    list_languages,
    load_catalogue,
    read_entries,
    translate,
    use_language,
)
from webui.languages.markup import list_texts, replace_texts, split_markdown, translate_html

LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
TAG = re.compile(r"</?\w+>|\*\*|`")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return InlineStudio.open(tmp_path_factory.mktemp("languages"))


@pytest.fixture(scope="module")
def page(studio: Studio) -> gr.Blocks:
    return app.build_page(studio)


@pytest.fixture(scope="module")
def texts(page: gr.Blocks) -> set[str]:
    return list_page_texts(page.config)


@pytest.fixture(scope="module")
def client(studio: Studio, page: gr.Blocks) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(studio.layout.state / "page"))
        patch.setattr(app, "build_page", lambda *_: page)
        mounted = app.mount_page(FastAPI(), studio)
        with TestClient(mounted, base_url="http://localhost") as client:
            yield client


# ---- the catalogues ----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_page_has_an_entry(language: str, texts: set[str]) -> None:
    catalogue = load_catalogue(language)
    missing = sorted({part for text in texts for part in find_entries(catalogue, text)[1]})
    lines = "\n".join(f"{json.dumps(text, ensure_ascii=False)}: " for text in missing)
    assert not missing, f"add to src/webui/languages/{language}.yaml:\n{lines}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_is_used(language: str, texts: set[str]) -> None:
    catalogue = load_catalogue(language)
    used = {key for text in texts for key in find_entries(catalogue, text)[0]}
    unused = sorted(set(catalogue.entries) - used - {OWN_NAME})
    assert not unused, "\n".join(unused)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_entry_has_the_placeholders_and_tags_of_its_text(language: str) -> None:
    wrong = [
        key
        for key, text in read_entries(language).items()
        if sorted(name for name, _ in PLACEHOLDER.findall(key))
        != sorted({name for name, _ in PLACEHOLDER.findall(text)})
        or sorted(TAG.findall(key)) != sorted(TAG.findall(text))
        or key.count("%") != text.count("%")
        or '"' in text
        or not text.strip()
    ]
    assert wrong == []


def test_english_and_german_are_offered_in_their_own_names() -> None:
    assert list_languages() == {"en": "English", "de": "Deutsch"}


# ---- translation -------------------------------------------------------------------------------

SMALL = build_catalogue(
    {
        "Stop": "Anhalten",
        "{name} saved.": "{name} gespeichert.",
        "{count} deleted.": "{count:t} gelöscht.",
        "{n} clips": "{n} Clips!",
        "left out": "ausgelassen",
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Stop", "Anhalten"),
        ("clara saved.", "clara gespeichert."),
        ("Stop saved.", "Stop gespeichert."),  # a name is not translated
        ("3 clips deleted.", "3 Clips! gelöscht."),
        ("many clips", "many clips"),
        ("Stop · 3 clips", "Anhalten · 3 Clips!"),
        ("clara saved. 1,000 clips deleted.", "clara gespeichert. 1,000 Clips! gelöscht."),
        ("Left out", "Ausgelassen"),
        ("Something else.", "Something else."),
    ],
)
def test_a_text_is_translated_by_its_entry_or_in_parts(text: str, expected: str) -> None:
    assert SMALL.translate(text) == expected


def test_a_long_hostile_text_is_searched_for_fast() -> None:
    catalogue = load_catalogue("de")
    for text in ("x at x to x, " * 28, "a from b at c d " * 25, "a: b (c) " * 200):
        assert catalogue.translate(text).count("x") == text.count("x")
    assert max(len(PLACEHOLDER.findall(one.key)) for one in catalogue.patterns) <= 8


def test_english_and_rendered_html_stay_as_they_are() -> None:
    assert translate("Stop") == "Stop"
    with use_language("de"):
        assert translate(Markup("Stop")) == Markup("Stop")
        assert translate("Stop") == "Anhalten"


@pytest.mark.parametrize(
    ("setting", "accepted", "expected"),
    [
        ("auto", "de-DE,de;q=0.9,en;q=0.8", "de"),
        ("auto", "en-US,en;q=0.9,de;q=0.8", "en"),
        ("auto", "fr, de;q=0.3", "de"),
        ("auto", "fr", "en"),
        ("auto", "", "en"),
        ("auto", "de;q=x,;;,", "en"),
        ("de", "en", "de"),
        ("en", "de", "en"),
        ("xy", "de", "en"),
    ],
)
def test_the_language_is_that_of_the_setting_or_the_browser(
    setting: str, accepted: str, expected: str
) -> None:
    assert choose_language(setting, accepted) == expected


def test_a_setting_that_is_no_language_is_refused() -> None:
    assert Settings(language="de").language == "de"
    with pytest.raises(InvalidValueError, match=r"language is '\.\./x'"):
        Settings(language="../x")


# ---- templates and HTML ------------------------------------------------------------------------


def test_texts_of_a_template_are_sentences_with_named_values() -> None:
    source = (
        '<p class="quiet" title="Line {{ row.index + 1 }}">Press <strong>Stop</strong> to end '
        '{{ row.name }}.</p>{{ button("Delete", "delete") }}{% if state == "Done" %}{% endif %}'
    )
    assert list_texts(source) == [
        "Line {index}",
        "Press <strong>Stop</strong> to end {name}.",
        "Delete",
    ]


def test_values_move_to_their_place_in_the_translation() -> None:
    source = "<p>Line {{ index }} of {{ names | length }}</p>"
    changed = replace_texts(source, {"Line {index} of {names}": "Von {names}: {index}"}.__getitem__)
    assert changed == "<p>Von {{ names | length }}: {{ index }}</p>"


def test_a_template_without_texts_of_its_own_stays_the_same() -> None:
    for path in sorted((FOLDER.parent / "templates").rglob("*.html")):
        source = path.read_text(encoding="utf-8")
        same = replace_texts(source, lambda key: key)
        assert "".join(same.split()) == "".join(source.split()), path.name


def test_markdown_is_split_into_headings_and_paragraphs() -> None:
    assert split_markdown("## Log\n\nWhat the server\nreports.") == [
        "## Log",
        "What the server reports.",
    ]


def test_messages_and_templates_are_in_the_language_and_names_stay() -> None:
    with use_language("de"):
        assert "Stop.wav gespeichert" in note_html("Stop.wav saved.")
        assert "Fehler:" in error_html("x")
        assert "Anhalten" in translate_html("<b>Stop</b>")
        html = render("voice_export.html", name="Download.zip")
    assert "Download.zip herunterladen" in html
    assert "Download Download.zip" in render("voice_export.html", name="Download.zip")


def test_labels_of_fixed_choices_are_translated_and_names_are_not() -> None:
    given = {"label": "Voice", "choices": [("Stop", "Stop"), ("Automatic", "auto")]}
    with use_language("de"):
        changed = translate_properties("dropdown", given)
    assert changed == {"label": "Stimme", "choices": [("Stop", "Stop"), ("Automatisch", "auto")]}
    assert given["label"] == "Voice"


# ---- the page ----------------------------------------------------------------------------------


def read_config(client: TestClient, accepted: str) -> dict[str, dict[str, object]]:
    config = client.get("/config", headers={"accept-language": accepted}).json()
    return {
        one["props"].get("elem_id") or str(one["id"]): one["props"] for one in config["components"]
    }


def test_each_browser_is_sent_the_page_in_its_language(client: TestClient) -> None:
    english, german = read_config(client, "en"), read_config(client, "de-DE,de;q=0.9")
    assert english["tab-history"]["label"] == "History"
    assert german["tab-history"]["label"] == "Verlauf"
    assert german["generate-run"]["value"] == "Erzeugen"
    assert english.keys() == german.keys()


def test_english_is_sent_as_it_was_built(client: TestClient, page: gr.Blocks) -> None:
    assert page.config is page._configs[ENGLISH]  # type: ignore[attr-defined]
    assert "window.testudoTexts = " not in client.get("/", headers={"accept-language": "en"}).text


def test_the_texts_of_scripts_are_handed_over(client: TestClient) -> None:
    html = client.get("/", headers={"accept-language": "de"}).text
    assert "window.testudoTexts = " in html
    assert "Kopiert" in html
    assert "Copied" in list_script_texts()


def test_the_setting_wins_over_the_browser(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.change_settings({"language": "en"})
    assert read_config(client, "de")["tab-history"]["label"] == "History"
    studio.change_settings({"language": "de"})
    assert read_config(client, "en")["tab-history"]["label"] == "Verlauf"
    studio.change_settings({}, unset=["language"])
    assert "language" not in Path(studio.layout.settings_file).read_text(encoding="utf-8")

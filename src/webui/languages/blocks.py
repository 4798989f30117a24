"""Gradio's page in the language of the request: components, their updates and the texts of scripts.

English is sent as it was built. For any other language the labels, infos, placeholders, choices and
constant HTML of the components are replaced in the configuration that a browser loads, and in the
updates of events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.languages.catalogue import (
    ENGLISH,
    choose_language,
    get_language,
    load_catalogue,
    translate,
    use_language,
)
from webui.languages.markup import translate_html, translate_markdown

# Any throughout: properties of Gradio's components.

TEXT_PROPERTIES = ("label", "info", "placeholder", "title", "x_title", "y_title")
VALUE_TRANSLATORS: Mapping[str, Callable[[str], str]] = {
    "button": translate,
    "html": translate_html,
    "markdown": translate_markdown,
}
"""Kinds of components whose constant value is text of the page."""
UNTRANSLATED = frozenset({"settings-changes"})  # the changelog
ASSETS = Path(__file__).resolve().parents[1] / "assets"
_SCRIPT_TEXT = re.compile(r'\btext\("([^"]+)"')
LanguageSetting = Callable[[], str]
"""Returns the setting: "auto" or a language."""


class TranslatedBlocks(gr.Blocks):
    """Blocks that answer each request in its language."""

    def __init__(self, read_setting: LanguageSetting, **options: Any) -> None:
        self.read_setting = read_setting
        self._configs: dict[str, Any] = {}
        super().__init__(**options)

    @property
    def config(self) -> Any:
        """The configuration that a browser loads, in the language of its request."""
        language = get_language()
        if language not in self._configs:
            self._configs[language] = translate_config(self._configs[ENGLISH])
        return self._configs[language]

    @config.setter
    def config(self, config: Any) -> None:
        self._configs = {ENGLISH: config}

    async def process_api(  # type: ignore[override]  # passes on what it does not need
        self, block_fn: Any, inputs: list[Any], state: Any = None, request: Any = None, **given: Any
    ) -> dict[str, Any]:
        """Run a handler in the language of the browser that sent the event."""
        first = request[0] if isinstance(request, list) and request else request
        headers: Mapping[str, str] = getattr(first, "headers", None) or {}
        language = choose_language(self.read_setting(), headers.get("accept-language", ""))
        with use_language(language):
            return await super().process_api(block_fn, inputs, state, request, **given)

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """Return the outputs of a handler with the texts of their updates replaced."""
        output = await super().postprocess_data(block_fn, predictions, state)
        if get_language() == ENGLISH:
            return output
        blocks = block_fn.outputs[: len(output)]
        return [
            _translate_update(block.get_block_name(), value)
            for block, value in zip(blocks, output, strict=True)
        ]


class LanguageMiddleware:
    """Answers each HTTP request in the language of its browser, or of the setting."""

    def __init__(self, app: ASGIApp, read_setting: LanguageSetting) -> None:
        self.app, self.read_setting = app, read_setting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        accepted = Headers(scope=scope).get("accept-language", "")
        with use_language(choose_language(self.read_setting(), accepted)):
            await self.app(scope, receive, send)


def translate_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a page in the language of the request."""
    components = [
        component
        | {"props": translate_properties(component["type"], component["props"], constant=True)}
        for component in config["components"]
    ]
    return {
        **config,
        "components": components,
        "head": build_script_texts() + (config["head"] or ""),
    }


def translate_properties(
    kind: str, properties: Mapping[str, Any], *, constant: bool = False
) -> dict[str, Any]:
    """Return the properties of a component with texts replaced.

    constant: HTML and Markdown too, which are not from a handler.
    """
    if properties.get("elem_id") in UNTRANSLATED:
        return dict(properties)
    changed = dict(properties)
    for name in TEXT_PROPERTIES:
        if isinstance(changed.get(name), str):
            changed[name] = translate(changed[name])
    if isinstance(changed.get("choices"), list):
        changed["choices"] = [_translate_choice(choice) for choice in changed["choices"]]
    if isinstance(changed.get("color_map"), dict):
        changed["color_map"] = {translate(k): v for k, v in changed["color_map"].items()}
    translate_value = VALUE_TRANSLATORS.get(kind) if constant or kind == "button" else None
    if translate_value is not None and isinstance(changed.get("value"), str):
        changed["value"] = translate_value(changed["value"])
    return changed


def _translate_choice(choice: Any) -> Any:
    """Return a choice with its label replaced; one that is its own label is a name."""
    if not isinstance(choice, (list, tuple)) or choice[0] == choice[1]:
        return choice
    return type(choice)([translate(choice[0]), choice[1]])


def _translate_update(kind: str, value: Any) -> Any:
    if isinstance(value, dict) and value.get("__type__") == "update":
        return translate_properties(kind, value)
    return translate(value) if kind == "button" and isinstance(value, str) else value


def list_script_texts() -> list[str]:
    """Return the texts of assets/*.js: what they call `text("...")` with."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(ASSETS.glob("*.js"))]
    return sorted({found for source in sources for found in _SCRIPT_TEXT.findall(source)})


def build_script_texts() -> str:
    """Return the script that hands the texts of the language to assets/*.js."""
    language = get_language()
    entries = load_catalogue(language).entries
    texts = {key: entries[key] for key in list_script_texts() if key in entries}
    safe = json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f"<script>\nwindow.testudoTexts = {safe};\n"
        f'document.documentElement.lang = "{language}";\n</script>\n'
    )

"""The texts that the page shows, collected from its code: what a language has to translate."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.formatting import STAGE_LABELS, format_bytes, format_duration
from core.options import OptionField, list_option_fields
from core.paths import get_project_paths
from engines.registry import ENGINES, get_options_class
from studio.archives.disk_usage import measure_disk_usage
from studio.datasets.gold_request import STEP_HELP
from studio.datasets.service import CLIP_REASONS, list_transcribers
from studio.synthesis.line_edits import EDIT_TITLES
from studio.voices.consent import BASES
from studio.voices.consent_reminders import describe_missing_consent
from webui.components.option_controls import (
    format_option_help,
    get_option_choices,
    get_option_label,
)
from webui.languages.blocks import (
    TEXT_PROPERTIES,
    UNTRANSLATED,
    VALUE_TRANSLATORS,
    list_script_texts,
)
from webui.languages.catalogue import (
    PLACEHOLDER,
    Catalogue,
    compile_key,
    split_label,
    split_sentences,
)
from webui.languages.markup import list_texts, split_markdown

WEBUI = Path(__file__).resolve().parents[2] / "src" / "webui"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DURATIONS = (0.5, 40.0, 130.0, 1_200.0, 99_999.0)
# what is no text of the page: names, and texts for programs
NOT_SHOWN = frozenset(
    {
        "Testudo",
        "Pee Wee",
        "Good evening, and welcome. This voice was made on this very machine.",
        "The morning was quiet, and the river ran slowly past the old mill.",
        "Dr. Smith paid $3.50 on May 5th.",
        "not a secret: it is stored in the browser of its owner",
        "The page has no such function. The API for programs is described at /docs.",
        "{capitalize} model",  # the labels are collected from the built page
        "{name} has no range",
        "the help of {name} does not say what 0 stands for",
    }
)
# the same in every language
NAMES = frozenset(
    {
        *("BigVGAN", "Griffin-Lim", "HiFi-GAN", "PocketSphinx", "Transformers", "UnivNet"),
        *("WaveRNN", "Whisper", "faster-whisper", "resemblyzer", "voicefixer", "settings.yaml"),
        *("Deutsch", "starter", "AdamW beta1.", "AdamW beta2.", "Beta1", "Beta2", "Gamma", "LoRA"),
        *("audio=1, text=3", "/home/me/interviews", "quinoa = keen wah"),
    }
)
# painted again by its handler when the page is loaded
_REPAINTED = frozenset({"training-prepare-transcribers"})
_TEXT = re.compile(r"[A-Z][a-z]|[a-z]{2,} [a-z({]|\} [a-z]{2,}|[a-z]{2,} \{")
_CODE = re.compile(r"[<>=_\\;]|^[a-z-]*-[a-z -]*$|^/|\(\)|^[a-z]+/|^[a-z]+\.[a-z]+$|^ \{.*\} is $")
_VALUE = re.compile(r"[\d.,:e-]+(?: \w+)?")
_CODE_ARGUMENTS = frozenset(
    {"elem_id", "elem_classes", "js", "html_template", "js_on_load", "variant", "size", "script"}
)
_CODE_FUNCTIONS = frozenset(
    {"render", "getattr", "replace", "startswith", "slugify", "compile", "get", "split", "strftime"}
)
_WORD = re.compile(r"[a-z]{3,}|[A-Z][a-z]{2,}|\bof\b")


def list_page_texts(config: dict[str, Any]) -> set[str]:
    """Return all texts: of components, templates, code, scripts and tables of other packages."""
    return {
        *list_component_texts(config),
        *list_template_texts(),
        *list_code_texts(),
        *list_script_texts(),
        *list_table_texts(),
    } - NOT_SHOWN


def list_component_texts(config: dict[str, Any]) -> Iterator[str]:
    """Yield labels, infos, choices and constant values of the components."""
    for component in config["components"]:
        yield from _list_property_texts(component["type"], component["props"])


def _list_property_texts(kind: str, properties: dict[str, Any]) -> Iterator[str]:
    if properties.get("elem_id") in UNTRANSLATED | _REPAINTED:
        return
    texts = [properties.get(name) for name in TEXT_PROPERTIES]
    choices = [choice for choice in properties.get("choices") or () if choice[0] != choice[1]]
    texts += [label for label, _ in choices]
    texts += list(properties.get("color_map") or ())
    value = properties.get("value")
    if kind in VALUE_TRANSLATORS and isinstance(value, str):
        split = {"html": list_texts, "markdown": split_markdown}.get(kind, lambda text: [text])
        texts += [text.lstrip("# ") for text in split(value)]
    yield from (text for text in texts if isinstance(text, str) and _WORD.search(text))


def list_template_texts() -> Iterator[str]:
    """Yield the texts of the templates."""
    for path in sorted((WEBUI / "templates").rglob("*.html")):
        yield from list_texts(path.read_text(encoding="utf-8"))


def list_code_texts() -> Iterator[str]:
    """Yield the strings of the code of the page that are texts; values become placeholders."""
    for path in sorted(WEBUI.rglob("*.py")):
        if path.parent.name != "languages":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            yield from _visit(tree, docstrings)


def _visit(node: ast.AST, docstrings: set[int]) -> Iterator[str]:
    if id(node) in docstrings and isinstance(node, ast.Constant):
        return
    if isinstance(node, ast.keyword) and node.arg in _CODE_ARGUMENTS:
        return
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        yield from _list_string_texts(node)
        children = [one.value for one in children if isinstance(one, ast.FormattedValue)]
    if isinstance(node, ast.Call) and _get_name(node.func) in _CODE_FUNCTIONS:
        children = [child for child in children if not isinstance(child, ast.Constant)]
    if isinstance(node, (ast.AnnAssign, ast.arg, ast.FunctionDef)):
        children = [child for child in children if child is not getattr(node, "annotation", None)]
    for child in children:
        yield from _visit(child, docstrings)


def _list_string_texts(node: ast.Constant | ast.JoinedStr) -> Iterator[str]:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    names: list[str] = []
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            text += part.value if isinstance(part.value, str) else ""
        elif isinstance(part, ast.FormattedValue):
            names.append(_name_value(part.value, names))
            text += f"{{{names[-1]}}}"
    unnamed = PLACEHOLDER.sub("{}", text)
    if _TEXT.search(unnamed) and not _CODE.search(unnamed):
        yield from (block.lstrip("# ") for block in split_markdown(text))


def _name_value(value: ast.expr, taken: list[str]) -> str:
    found = [_get_name(node) for node in ast.walk(value)]
    base = next((name for name in found if name), "value").lower().strip("_")
    names = [base, *(f"{base}{number}" for number in range(2, 20))]
    return next(name for name in names if name not in taken)


def _get_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def list_table_texts() -> Iterator[str]:
    """Yield the texts that the page shows from tables of other packages."""
    yield from STAGE_LABELS.values()
    yield from (*CLIP_REASONS.values(), *STEP_HELP.values(), *STEP_HELP, *BASES.values())
    yield from (f"{title} 5" for title in EDIT_TITLES.values())
    layout = get_project_paths(Path("nowhere"))
    yield from (folder.name for folder in measure_disk_usage(layout))
    yield from (one.help for one in list_transcribers(layout))
    yield describe_missing_consent("5")
    yield from (format_duration(seconds) for seconds in DURATIONS)
    yield format_bytes(None)
    yield from (f"3 {month} 2026, 14:05" for month in MONTHS)
    yield from list_counted_nouns()
    for engine in ENGINES:
        for field in list_option_fields(get_options_class(engine)):
            yield from _list_option_texts(field)


def _list_option_texts(field: OptionField) -> Iterator[str]:
    yield get_option_label(field)
    yield format_option_help(field)
    yield from (label for label, value in get_option_choices(field) if label != value)


def list_counted_nouns() -> Iterator[str]:
    """Yield `1 clip`, `5 clips` for every noun that is counted."""
    nouns: set[str] = set()
    for path in [*WEBUI.rglob("*.py"), *WEBUI.rglob("*.html")]:
        source = path.read_text(encoding="utf-8")
        nouns |= set(re.findall(r"""format_count\([^\n]*?, ["'](\w+)["']\)""", source))
        nouns |= set(re.findall(r"""count\("(\w+)"\)""", source))
    for noun in sorted(nouns):
        yield from (f"1 {noun}", f"5 {noun}s")


def find_entries(catalogue: Catalogue, text: str) -> tuple[set[str], list[str]]:
    """Return the keys of the entries that translate a text, and the sentences without an entry."""
    core = text.strip()
    if core in catalogue.entries:
        return {core}, []
    keys: set[str] = set()
    missing: list[str] = []
    for sentence in filter(_needs_entry, _split(core)):
        key = _find_key(catalogue, sentence)
        parts = [part for part in split_label(sentence) if _needs_entry(part)]
        found = {_find_key(catalogue, part) for part in parts} if key is None else {key}
        keys |= {one for one in found if one is not None}
        keys |= _find_nested(catalogue, key, sentence)
        missing += [sentence] if None in found else []
    return keys, missing


def _split(key: str) -> list[str]:
    """Return the sentences of a key; one may begin with a value."""
    marked = PLACEHOLDER.sub(lambda found: f"„{found[0]}", key)
    return [sentence.replace("„{", "{") for sentence in split_sentences(marked)]


def _find_nested(catalogue: Catalogue, key: str | None, text: str) -> set[str]:
    """Return the keys of the values in a text that are translated themselves."""
    match = compile_key(key).fullmatch(text.strip()) if key else None
    if match is None or PLACEHOLDER.search(text):
        return set()
    return {found for value in match.groups() if (found := catalogue.find_key(value))}


def _find_key(catalogue: Catalogue, text: str) -> str | None:
    core = text.strip()
    if core in catalogue.entries:
        return core
    if PLACEHOLDER.search(core):
        known = catalogue.unnamed.get(PLACEHOLDER.sub("{}", core))
        return known or catalogue.find_key(PLACEHOLDER.sub("5", core))
    key = catalogue.find_key(core)
    match = compile_key(key).fullmatch(core) if key is not None else None
    is_message = match is None or all(
        _VALUE.fullmatch(value) or value in NAMES or catalogue.find_key(value)
        for value in match.groups()
    )
    return key if is_message else None


def _needs_entry(text: str) -> bool:
    words = PLACEHOLDER.sub("", text).strip()
    return bool(_WORD.search(words)) and words not in NAMES

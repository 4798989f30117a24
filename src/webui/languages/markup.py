"""Texts inside HTML, Markdown and Jinja templates, replaced by those of a language.

A text is what stands between two tags; inline tags and `{{ values }}` are part of it, so that a
sentence is one text. Of attributes, those that are read out or shown are texts. Names of values
become placeholders: `Line {{ row.index + 1 }}` has the key `Line {index}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from jinja2 import Environment
from jinja2.ext import Extension

from webui.languages.catalogue import PLACEHOLDER, load_catalogue, translate

_VALUE, _BLOCK = r"\{\{.*?\}\}", r"\{%.*?%\}"
_QUOTED = rf'"(?:{_VALUE}|{_BLOCK}|[^"])*"'
_TOKEN = re.compile(
    rf"(?P<comment>\{{#.*?#\}})|(?P<block>{_BLOCK})|(?P<value>{_VALUE})"
    rf"|(?P<tag><[A-Za-z/!](?:{_QUOTED}|{_VALUE}|{_BLOCK}|[^>\"])*>)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rf'\b(title|aria-label|placeholder|alt)=("(?:{_VALUE}|[^"])*")', re.DOTALL)
_INLINE = re.compile(r"</?(?:strong|em|b|code|kbd|q)(?=[\s>])[^>]*>")
_WRAPPED = re.compile(r"<(strong|em|b|code|kbd|q)>((?:(?!<).)*)</\1>", re.DOTALL)
_LITERAL = re.compile(r""""([^"\\]*)"|'([^'\\]*)'""")
_COMPARED = re.compile(r"(?:[=!]=|\bin) $")  # before a string that is compared, not shown
_CHAIN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_TEXT_LITERAL = re.compile(r"[A-Z].*[a-z]|[a-z]{2,} [a-z(]{2,}|\bof\b|\([a-z]+\)")
_CODE = re.compile(r"[<>=_\\]|^[a-z-]*-[a-z -]*$")  # class names and the like
_WORD = re.compile(r"[A-Za-z]{2,}")
_FILTERS = frozenset({"format", "if", "not", "else", "is", "none"})
_HEADING = re.compile(r"#+ ")

Replace = Callable[[str], str]
"""Returns the translation of a key, or the key itself."""


class TranslateTemplates(Extension):
    """Translates the source of templates into `environment.language` before it is compiled."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the source with its texts replaced."""
        language: str = self.environment.language  # type: ignore[attr-defined]
        return replace_texts(source, load_catalogue(language).translate_key)


def create_environment(language: str, **options: object) -> Environment:
    """Create a Jinja environment whose templates are in a language."""
    environment = Environment(**options)  # type: ignore[arg-type]
    environment.extend(language=language)
    environment.add_extension(TranslateTemplates)
    return environment


def translate_html(html: str) -> str:
    """Return constant HTML in the language of the request."""
    return replace_texts(html, translate)


def translate_markdown(text: str) -> str:
    """Return constant Markdown in the language of the request, paragraph by paragraph."""
    return "\n\n".join(_translate_block(block) for block in split_markdown(text))


def split_markdown(text: str) -> list[str]:
    """Return the headings and paragraphs of a text, each in one line."""
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        parts = block.split("\n", 1) if block.startswith("#") else [block]
        lines += [" ".join(part.split()) for part in parts if part.strip()]
    return lines


def _translate_block(block: str) -> str:
    mark = _HEADING.match(block)
    start = mark[0] if mark else ""
    return start + translate(block.removeprefix(start))


def list_texts(source: str) -> list[str]:
    """Return the keys of all texts in HTML or a template."""
    found: list[str] = []

    def remember(key: str) -> str:
        found.append(key)
        return key

    replace_texts(source, remember)
    return list(dict.fromkeys(found))


def replace_texts(source: str, replace: Replace) -> str:
    """Return HTML or a template with its texts replaced."""
    output: list[str] = []
    run: list[str] = []  # a text with the values and inline tags inside it

    def end_run() -> None:
        output.append(_replace_run("".join(run), replace))
        run.clear()

    position = 0
    for token in _TOKEN.finditer(source):
        run.append(source[position : token.start()])
        position = token.end()
        kind, text = token.lastgroup, token[0]
        if kind == "value" or (kind == "tag" and _INLINE.fullmatch(text)):
            run.append(text)
            continue
        end_run()
        output.append(text if kind == "comment" else _replace_inside(text, replace))
    run.append(source[position:])
    end_run()
    return "".join(output)


def _replace_inside(token: str, replace: Replace) -> str:
    """Replace the attributes of a tag, and the literals of a Jinja tag."""
    if token.startswith("<"):
        token = _ATTRIBUTE.sub(
            lambda found: f'{found[1]}="{_replace_run(found[2][1:-1], replace)}"', token
        )
        return re.sub(
            f"{_VALUE}|{_BLOCK}", lambda found: _replace_literals(found[0], replace), token
        )
    return _replace_literals(token, replace)


def _replace_literals(code: str, replace: Replace) -> str:
    """Replace the strings in an expression that are texts; all where it uses `| translate`."""
    is_marked = "| translate" in code

    def change(literal: re.Match[str]) -> str:
        text = literal[1] if literal[1] is not None else literal[2]
        before, after = code[: literal.start()], code[literal.end() :]
        is_compared = bool(_COMPARED.search(before)) or after.startswith(" in ")
        if is_compared or not (is_text(text) or (is_marked and _WORD.search(text))):
            return literal[0]
        quote, core = literal[0][0], text.strip()
        return quote + text.replace(core, replace(core), 1) + quote

    return _LITERAL.sub(change, code)


def is_text(literal: str) -> bool:
    """Return whether a string of a template or of Python code is a text in English."""
    return bool(_TEXT_LITERAL.search(literal)) and not _CODE.search(literal)


def _replace_run(run: str, replace: Replace) -> str:
    """Replace a text with its values; without a word of its own only the literals inside."""
    values: dict[str, str] = {}

    def name(value: re.Match[str]) -> str:
        placeholder = _name_value(value[0], values)
        values[placeholder] = _replace_literals(value[0], replace)
        return f"{{{placeholder}}}"

    named = re.sub(_VALUE, name, run, flags=re.DOTALL)
    words = PLACEHOLDER.sub("", re.sub(r"<[^>]*>|&\w+;", "", named))
    if _WORD.search(words):
        before, core, after = _trim(named)
        named = f"{before}{replace(core)}{after}"
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), named)


def _trim(text: str) -> tuple[str, str, str]:
    """Return what is before a text, the text in one line, and what is behind it.

    An inline tag around the whole text is not part of it.
    """
    core = text.strip()
    wrapped = _WRAPPED.fullmatch(core)
    if wrapped:
        core = wrapped[2].strip()
    start = text.index(core)
    return text[:start], " ".join(core.split()), text[start + len(core) :]


def _name_value(value: str, taken: dict[str, str]) -> str:
    """Return the placeholder of an expression: the last name of the first value in it."""
    code = _LITERAL.sub("", value)
    chains = [chain for chain in _CHAIN.findall(code) if chain not in _FILTERS]
    base = chains[0].rpartition(".")[2].lower() if chains else "value"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}{number}", number + 1
    return name

"""Catalogues of texts: English to another language, one YAML file for each language.

A key may have placeholders: `{name} saved.` is the entry of every text of this form. `{n}`, `{n2}`
match numbers only. A translation has the same placeholders; `{name:t}` is a value that is
translated itself. A text without an entry is translated part by part: sentences, what is between
dots (" · "), and a label and the remarks in brackets behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from markupsafe import Markup

from core.yaml_io import read_yaml

ENGLISH = "en"
AUTOMATIC = "auto"  # the setting that follows the browser
OWN_NAME = "(name of this language)"
FOLDER = Path(__file__).resolve().parent
PLACEHOLDER = re.compile(r"\{([a-z]\w*)(:t)?\}")
_NUMBER_NAME = re.compile(r"n\d*")
_SENTENCES = re.compile(r"( · |(?<=[.!?…])(?<!Min\.)(?<!Max\.)\s+(?=[A-Z0-9„“\"(]))")
_REMARKS = re.compile(r"( \(|; |: |\)$|^\()")  # as in Name (one; other), and in Check: name
_QUALITY = re.compile(r"\s*q=([01](?:\.\d{1,3})?)\s*")
MAX_HEADER_LENGTH = 500
MAX_TEXT_LENGTH = 2_000
"""Longer texts are content, not messages."""
MAX_MESSAGE_LENGTH, MAX_TEXT_VALUES = 400, 3
"""Of a sentence with values; more would take long to search for in a long text."""

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPattern:
    """A key with placeholders as an expression."""

    key: str
    expression: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The entries of a language, and those with placeholders as patterns, the longest first."""

    entries: Mapping[str, str]
    patterns: tuple[TextPattern, ...]
    unnamed: Mapping[str, str]
    """The keys by their form without the names of their placeholders."""

    def translate(self, text: str) -> str:
        """Return a text in the language; parts without an entry stay English."""
        if text.strip() in self.entries:
            return self.find(text) or text
        return "".join(self._translate_sentence(sentence) for sentence in split_sentences(text))

    def _translate_sentence(self, sentence: str) -> str:
        return self.find(sentence) or "".join(
            self.find(part) or part for part in split_label(sentence)
        )

    def translate_key(self, key: str) -> str:
        """Return a text of a template, whose values are still placeholders, or its sentences."""
        found = self._find_unnamed(key)
        if found is not None:
            return found
        return "".join(self._find_unnamed(part) or part for part in split_sentences(key))

    def _find_unnamed(self, key: str) -> str | None:
        """Return the translation of a key whose placeholders may have other names."""
        known = self.unnamed.get(_remove_names(key))
        if known is None:
            return None
        names = dict(zip(_list_names(known), _list_names(key), strict=True))
        return PLACEHOLDER.sub(lambda found: f"{{{names[found[1]]}}}", self.entries[known])

    def find(self, text: str) -> str | None:
        """Return the translation of one text or sentence, None where there is no entry."""
        core = text.strip()
        key = self.find_key(core)
        if key is None:
            return None
        translation = self.entries[key]
        match = compile_key(key).fullmatch(core) if PLACEHOLDER.search(key) else None
        if match is not None:
            translation = self._fill(translation, match)
        elif core[0].isupper() and not key[0].isupper():
            translation = translation[0].upper() + translation[1:]
        return text.replace(core, translation, 1)

    def find_key(self, text: str) -> str | None:
        """Return the key of a text: itself, in lower or upper case, or a pattern that it fits."""
        for key in (text, text[:1].swapcase() + text[1:]):
            if key in self.entries:
                return key
        if len(text) > MAX_MESSAGE_LENGTH:
            return None
        fits = (one.key for one in self.patterns if one.expression.fullmatch(text))
        return next(fits, None)

    def _fill(self, translation: str, match: re.Match[str]) -> str:
        def insert(placeholder: re.Match[str]) -> str:
            value = match[placeholder[1]] or ""
            return self.translate(value) if placeholder[2] else value

        return PLACEHOLDER.sub(insert, translation)


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, and what is between them."""
    return _SENTENCES.split(text)


def split_label(sentence: str) -> list[str]:
    """Return a label and the remarks in its brackets, and what is between them."""
    return _REMARKS.split(sentence)


def build_catalogue(entries: Mapping[str, str]) -> Catalogue:
    """Build a catalogue from English texts and their translations."""
    keys = [key for key in entries if _is_message(key)]
    keys.sort(key=lambda key: -len(PLACEHOLDER.sub("", key)))
    return Catalogue(
        entries=entries,
        unnamed={_remove_names(key): key for key in entries},
        patterns=tuple(TextPattern(key=key, expression=compile_key(key)) for key in keys),
    )


def _is_message(key: str) -> bool:
    """Return whether a key stands for texts with values, which are searched for fast."""
    texts = [name for name in _list_names(key) if not _NUMBER_NAME.fullmatch(name)]
    return bool(PLACEHOLDER.search(key)) and len(texts) <= MAX_TEXT_VALUES and "<" not in key


def _remove_names(key: str) -> str:
    return PLACEHOLDER.sub("{}", key)


def _list_names(key: str) -> list[str]:
    return [name for name, _ in PLACEHOLDER.findall(key)]


@cache
def compile_key(key: str) -> re.Pattern[str]:
    """Return the expression of the texts that a key with placeholders stands for."""
    parts, position = [], 0
    for placeholder in PLACEHOLDER.finditer(key):
        name = placeholder[1]
        wanted = r"[-−]?[\d.,]+(?:e[-+]?\d+)?" if _NUMBER_NAME.fullmatch(name) else r".*?"
        parts += [re.escape(key[position : placeholder.start()]), f"(?P<{name}>{wanted})"]
        position = placeholder.end()
    return re.compile("".join([*parts, re.escape(key[position:])]), re.DOTALL)


def list_languages() -> dict[str, str]:
    """Return the languages by code, each with its name in the language itself."""
    others = {path.stem: read_entries(path.stem)[OWN_NAME] for path in FOLDER.glob("*.yaml")}
    return {ENGLISH: "English", **dict(sorted(others.items()))}


def read_entries(language: str) -> dict[str, str]:
    """Read the file of a language."""
    entries: dict[str, str] = read_yaml(FOLDER / f"{language}.yaml")
    return entries


@cache
def load_catalogue(language: str) -> Catalogue:
    """Return the catalogue of a language; an empty one for English and unknown languages."""
    if language == ENGLISH or not (FOLDER / f"{language}.yaml").is_file():
        return build_catalogue({})
    return build_catalogue(read_entries(language))


def get_language() -> str:
    """Return the language of the request that is answered now."""
    return _language.get()


@contextmanager
def use_language(language: str) -> Iterator[None]:
    """Answer in a language inside of the block, also in threads that are started there."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def translate(text: str) -> str:
    """Return a text of the page in the language of the request; rendered HTML stays as it is."""
    language = get_language()
    if language == ENGLISH or isinstance(text, Markup) or not isinstance(text, str):
        return text
    return _translate(language, text) if len(text) <= MAX_TEXT_LENGTH else text


@lru_cache(maxsize=4_096)
def _translate(language: str, text: str) -> str:
    return load_catalogue(language).translate(text)


def choose_language(setting: str, accepted: str) -> str:
    """Return the language to answer in.

    setting: AUTOMATIC or a language;  accepted: the header Accept-Language of a browser.
    """
    known = list_language_codes()
    if setting != AUTOMATIC:
        return setting if setting in known else ENGLISH
    wanted = sorted(_parse_accepted(accepted), key=lambda item: -item[0])
    return next((code for _, code in wanted if code in known), ENGLISH)


@cache
def list_language_codes() -> frozenset[str]:
    """Return the codes of the languages that have a catalogue, and of English."""
    return frozenset({ENGLISH, *(path.stem for path in FOLDER.glob("*.yaml"))})


def _parse_accepted(header: str) -> Iterator[tuple[float, str]]:
    for part in header[:MAX_HEADER_LENGTH].split(","):
        tag, _, rest = part.strip().partition(";")
        code = tag.split("-")[0].strip().lower()
        quality = _QUALITY.fullmatch(rest)
        if not rest or quality:
            yield float(quality[1]) if quality else 1.0, code

"""Transcript text to the words of an aligner; reversible: what became what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from text.normalization.numbers import (
    cardinal_to_words,
    decade_to_words,
    ordinal_to_words,
    year_to_words,
)
from text.normalization.pipeline import normalize_text
from training.gold.ctc_trellis import WORD_BREAK

STAGE_DIRECTION = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
TIME_STAMP = re.compile(r"\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b")
_APOSTROPHES = re.compile(r"['’‘]")
_WORD = re.compile(r"[A-Z]+")
_TOKEN = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedPart:
    """A stretch of the transcript and what is spoken for it.

    start, end: characters of the text;  words: upper-case, without apostrophes; () where the
    stretch is not spoken, such as a stage direction.
    """

    start: int
    end: int
    source: str
    words: tuple[str, ...]


def clean_transcript(text: str) -> list[CleanedPart]:
    """Return what is spoken for each part of a transcript, in order.

    Numbers, money and abbreviations become words, accents are removed, hyphens separate words,
    stage directions in brackets and time stamps are not spoken.
    """
    parts: list[CleanedPart] = []
    position = 0
    for silent in _find_silent(text):
        parts += _clean_spoken(text, position, silent.start())
        parts.append(
            CleanedPart(start=silent.start(), end=silent.end(), source=silent[0], words=())
        )
        position = silent.end()
    return parts + _clean_spoken(text, position, len(text))


def join_words(parts: Sequence[CleanedPart]) -> str:
    """Return the words of the parts as an aligner takes them: "HELLO|WORLD"."""
    return WORD_BREAK.join(word for part in parts for word in part.words)


def clean_as_published(text: str) -> str:
    """Return the words as the published script writes them, with its rules for numbers.

    Accented letters break words and signs of currencies before a number are dropped, as there.
    """
    text = _APOSTROPHES.sub("", text).replace("-", " ").upper()
    for pattern, replace in _PUBLISHED_RULES:
        text = pattern.sub(replace, text)
    return WORD_BREAK.join(re.findall(r"[A-Z]+(?:-[A-Z]+)*", text))


def _find_silent(text: str) -> list[re.Match[str]]:
    found = [*STAGE_DIRECTION.finditer(text), *TIME_STAMP.finditer(text)]
    found.sort(key=lambda match: match.start())
    kept: list[re.Match[str]] = []
    for match in found:
        if not kept or match.start() >= kept[-1].end():
            kept.append(match)
    return kept


def _clean_spoken(text: str, start: int, end: int) -> list[CleanedPart]:
    """Clean text[start:end]; words that stay are parts of their own, changed ones share a part."""
    tokens = list(_TOKEN.finditer(text, start, end))
    before = [_to_words(token[0]) for token in tokens]
    after = _to_words(normalize_text(text[start:end]))
    flat = [(word, index) for index, words in enumerate(before) for word in words]
    matcher = SequenceMatcher(None, [word for word, _ in flat], after, autojunk=False)
    groups: list[tuple[int, int, list[str]]] = []  # first and last token, words
    for _, first, last, left, right in matcher.get_opcodes():
        groups += _group(flat, first, last, after[left:right], len(tokens))
    return [
        CleanedPart(
            start=tokens[first].start(),
            end=tokens[last].end(),
            source=text[tokens[first].start() : tokens[last].end()],
            words=tuple(words),
        )
        for first, last, words in _merge_overlapping(groups, len(tokens))
    ]


def _group(
    flat: Sequence[tuple[str, int]], first: int, last: int, words: Sequence[str], tokens: int
) -> list[tuple[int, int, list[str]]]:
    """Return token ranges for one changed or unchanged run of words."""
    if last - first == len(words) and all(
        flat[first + offset][0] == word for offset, word in enumerate(words)
    ):
        return [
            (flat[first + offset][1], flat[first + offset][1], [word])
            for offset, word in enumerate(words)
        ]
    if first < last:
        return [(flat[first][1], flat[last - 1][1], list(words))]
    near = flat[first - 1][1] + 1 if first else 0
    return [(min(near, tokens - 1), min(near, tokens - 1), list(words))] if tokens else []


def _merge_overlapping(
    groups: Sequence[tuple[int, int, list[str]]], tokens: int
) -> list[tuple[int, int, list[str]]]:
    """Join ranges that share a token, and add the tokens that became nothing."""
    merged: list[tuple[int, int, list[str]]] = []
    following = 0
    for first, last, words in groups:
        while following < first:
            merged.append((following, following, []))
            following += 1
        if merged and first <= merged[-1][1]:
            before = merged[-1]
            merged[-1] = (before[0], max(before[1], last), before[2] + words)
        else:
            merged.append((first, last, words))
        following = max(following, merged[-1][1] + 1)
    merged += [(token, token, []) for token in range(following, tokens)]
    return merged


def _to_words(text: str) -> list[str]:
    return _WORD.findall(_APOSTROPHES.sub("", text).upper())


def _published_number(match: re.Match[str]) -> str:
    number = int(match[0])
    if 1100 <= number < 2100 and len(match[0]) == 4:
        return f" {year_to_words(number)} ".upper().replace(",", "")
    words = cardinal_to_words(match[0], joint="and").replace(",", "").upper()
    return words.replace("-", " ") if number >= 1000 else words


def _published_decade(digits: str) -> str:
    if len(digits) == 2:
        return f"{cardinal_to_words(digits)[:-1]}ies".upper()
    return decade_to_words(int(digits)).upper()


def _published_dollars(match: re.Match[str]) -> str:
    cents = f" {cardinal_to_words(match[2])}" if match[2] else ""
    return f"{cardinal_to_words(match[1], joint='and')} dollars{cents}".upper()


_PUBLISHED_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\$(\d+)(?:\.(\d+))?"), _published_dollars),
    (re.compile(r"\b(\d+)%"), lambda found: f"{cardinal_to_words(found[1])} PERCENT".upper()),
    (re.compile(r"\b(\d+)(?:ST|ND|RD|TH)\b"), lambda found: ordinal_to_words(found[1]).upper()),
    (
        re.compile(r"\b(\d{2}|\d{3}0)S\b"),
        lambda found: _published_decade(found[1]),
    ),
    (re.compile(r"\d+"), _published_number),
)

"""The words of a written text, and which tokens of an engine each of them became. Light."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from text.phones import SPACE_TOKEN
from text.pronunciations import GROUP_PATTERN

Tokenize = Callable[[str], Sequence[str]]
TokenRange = tuple[int, int]
_WORD = re.compile(rf"(?:{GROUP_PATTERN}|\S)+")


def split_words(text: str) -> list[str]:
    """Return the words of a text as written, with their marks; a group of phonemes is one word."""
    return _WORD.findall(text)


def find_word_tokens(
    words: Sequence[str], tokens: Sequence[str], tokenize: Tokenize
) -> list[TokenRange]:
    """Return the tokens (first, behind the last) that each written word became.

    tokens: of the whole text, with SPACE_TOKEN between words; tokenize: gives those of one word. A
    word may be several spoken ones, as a number is; one without sound, such as a dash, has no
    tokens. Words whose tokens depend on their neighbours share those that are left between them.
    """
    spoken = _list_spoken_words(tokens)
    own = [
        [tuple(part[start:stop]) for start, stop in _list_spoken_words(part)]
        for part in map(tokenize, words)
    ]
    flat = [symbols for parts in own for symbols in parts]
    if len(flat) == len(spoken):
        return _join_spoken_words([len(parts) for parts in own], spoken)
    return _match_words(own, tokens, spoken)


def _match_words(
    own: Sequence[Sequence[tuple[str, ...]]], tokens: Sequence[str], spoken: Sequence[TokenRange]
) -> list[TokenRange]:
    """Match the spoken words of each written one with those of the whole text."""
    owner = [number for number, parts in enumerate(own) for _ in parts]
    flat = [symbols for parts in own for symbols in parts]
    whole = [tuple(tokens[start:stop]) for start, stop in spoken]
    counts = [0] * len(own)
    matcher = SequenceMatcher(a=flat, b=whole, autojunk=False)
    for kind, a_start, a_stop, b_start, b_stop in matcher.get_opcodes():
        if kind == "equal":
            for number in owner[a_start:a_stop]:
                counts[number] += 1
            continue
        among = owner[a_start:a_stop] or owner[max(0, a_start - 1) : max(1, a_start)]
        for place in range(b_stop - b_start):
            counts[among[place * len(among) // (b_stop - b_start)]] += 1
    return _join_spoken_words(counts, spoken)


def _join_spoken_words(counts: Sequence[int], spoken: Sequence[TokenRange]) -> list[TokenRange]:
    """Return the tokens of each written word.  counts: how many spoken words it has."""
    found, at, last = list[TokenRange](), 0, 0
    for count in counts:
        if count:
            found.append((spoken[at][0], spoken[at + count - 1][1]))
            last = found[-1][1]
        else:
            found.append((last, last))
        at += count
    return found


def _list_spoken_words(tokens: Sequence[str]) -> list[TokenRange]:
    """Return where each spoken word is: the tokens with a sound between two spaces."""
    found, start, stop = list[TokenRange](), -1, -1
    for place, token in enumerate([*tokens, SPACE_TOKEN]):
        if token == SPACE_TOKEN:
            if start >= 0:
                found.append((start, stop))
            start = -1
        elif any(char.isalnum() for char in token):
            start, stop = place if start < 0 else start, place + 1
    return found

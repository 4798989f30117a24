"""Corrupt texts and codes to hard negatives for CLVP.

The corruptions are errors of bad candidates: words deleted, repeated, replaced, mispronounced, or
added at the end. Texts are corrupted by words, so that their speech stays natural, and codes by
spans of the same clip, so that the voice stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tortoise.modules.losses import WORD_BOUNDARY_TOKEN

MIN_SPAN_CODES = 5  # 0.23 s, longer than most pauses
SPAN_FRACTION = (0.1, 0.4)  # of the clip
SUBSTITUTED_FRACTION = 0.5  # of the symbols of a word

WordIds = list[list[int]]


def random_int(low: int, high: int, generator: torch.Generator) -> int:
    """Draw one of low..high-1."""
    return int(torch.randint(low, high, (1,), generator=generator))


def corrupt_text(text: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Corrupt a word or two; the result always differs.

    text: (t,) ids without stop;  other: (t',) a text to take other words from.
    Returns (t'',) ids.
    """
    words, other_words = split_words(text), split_words(other)
    corruption = TEXT_CORRUPTIONS[random_int(0, len(TEXT_CORRUPTIONS), generator)]
    corrupted = corruption(words, other_words, generator)
    if not corrupted or corrupted == words:
        corrupted = append_words(words, other_words, generator)
    return join_words(corrupted)


def split_words(text: Tensor) -> WordIds:
    """Split a text into words, at least one."""
    words: WordIds = [[]]
    for symbol in text.tolist():
        if symbol == WORD_BOUNDARY_TOKEN:
            words.append([])
        else:
            words[-1].append(symbol)
    return words


def join_words(words: WordIds) -> Tensor:
    """Join words with boundaries: (t,)."""
    ids: list[int] = []
    for word in words:
        ids += [WORD_BOUNDARY_TOKEN, *word]
    return torch.tensor(ids[1:], dtype=torch.long)


def delete_words(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Delete one or two words."""
    at = random_int(0, len(words), generator)
    return words[:at] + words[at + random_int(1, 3, generator) :]


def repeat_words(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Repeat one or two words."""
    at = random_int(0, len(words), generator)
    end = at + random_int(1, 3, generator)
    return words[:end] + words[at:]


def substitute_word(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Replace a word by another."""
    at, which = random_int(0, len(words), generator), random_int(0, len(other_words), generator)
    return [*words[:at], other_words[which], *words[at + 1 :]]


def swap_words(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Exchange two neighbouring words."""
    if len(words) < 2:
        return words
    at = random_int(0, len(words) - 1, generator)
    return [*words[:at], words[at + 1], words[at], *words[at + 2 :]]


def substitute_symbols(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Replace half of a word's symbols by those of other words."""
    symbols = [symbol for word in other_words for symbol in word]
    at = random_int(0, len(words), generator)
    if not symbols:
        return words
    changed = torch.rand(len(words[at]), generator=generator) < SUBSTITUTED_FRACTION
    replaced = [
        symbols[random_int(0, len(symbols), generator)] if change else symbol
        for symbol, change in zip(words[at], changed.tolist(), strict=True)
    ]
    return [*words[:at], replaced, *words[at + 1 :]]


def edit_one_symbol(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Delete, insert or replace a single symbol of a word."""
    symbols = [symbol for word in other_words for symbol in word]
    at = random_int(0, len(words), generator)
    word = words[at]
    if not symbols or not word:
        return words
    place, sound = (
        random_int(0, len(word), generator),
        symbols[random_int(0, len(symbols), generator)],
    )
    ways: WordIds = [[sound], [sound, word[place]]]
    if len(word) > 1:
        ways.append([])
    edited = [*word[:place], *ways[random_int(0, len(ways), generator)], *word[place + 1 :]]
    return [*words[:at], edited, *words[at + 1 :]]


def append_words(words: WordIds, other_words: WordIds, generator: torch.Generator) -> WordIds:
    """Append other words."""
    at = random_int(0, len(other_words), generator)
    return words + other_words[at : at + random_int(1, 4, generator)]


TEXT_CORRUPTIONS: Sequence[Callable[[WordIds, WordIds, torch.Generator], WordIds]] = (
    delete_words,
    repeat_words,
    substitute_word,
    swap_words,
    substitute_symbols,
    substitute_symbols,
    edit_one_symbol,
    edit_one_symbol,
    append_words,
)


def corrupt_codes(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Delete, repeat, overwrite or swap a span, cut the end, or append a span.

    codes: (m,).  Returns (m',), at least one code.
    """
    m = len(codes)
    low, high = (max(MIN_SPAN_CODES, round(share * m)) for share in SPAN_FRACTION)
    n = max(1, min(random_int(low, high + 1, generator), m - 1))
    here, there = (random_int(0, max(1, m - n + 1), generator) for _ in range(2))
    before, span, after = codes[:here], codes[here : here + n], codes[here + n :]
    elsewhere = codes[there : there + n]
    corruptions = (
        (before, after),
        (before, span, span, after),
        (before, elsewhere, after),
        (before, after[:n], span, after[n:]),
        (codes[: m - n],),
        (codes, elsewhere),
    )
    corrupted = torch.cat(corruptions[random_int(0, len(corruptions), generator)])
    return (
        corrupted
        if len(corrupted) and not torch.equal(corrupted, codes)
        else torch.cat([codes, span])
    )

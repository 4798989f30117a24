"""Make text and codes that almost belong together: what a ranker must learn to tell from the truth.

The faults are those of bad drafts: words left out, said twice, replaced, mumbled, or babbled after
the end. Texts are spoiled word by word, so the speech beside them stays natural and no seam gives
the fault away. Codes are spoiled with stretches of the same clip, so the voice never gives it away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tortoise.modules.losses import WORD_BOUNDARY_TOKEN

MIN_SPAN_CODES = 5  # codes: 0.23 s, longer than most pauses, so that a cut is heard
SPAN_FRACTION = (0.1, 0.4)  # of the clip
SUBSTITUTED_FRACTION = 0.5  # share of a word's symbols that a mumble changes

WordIds = list[list[int]]


def random_int(low: int, high: int, generator: torch.Generator) -> int:
    """One of low..high-1."""
    return int(torch.randint(low, high, (1,), generator=generator))


def corrupt_text(text: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Change a word or two, never to the same text again.

    text: (t,) ids without stop;  other: (t',) a text to take foreign words from.
    Returns (t'',) ids.
    """
    words, foreign = split_words(text), split_words(other)
    fault = TEXT_CORRUPTIONS[random_int(0, len(TEXT_CORRUPTIONS), generator)]
    spoiled = fault(words, foreign, generator)
    if not spoiled or spoiled == words:
        spoiled = append_words(words, foreign, generator)
    return join_words(spoiled)


def split_words(text: Tensor) -> WordIds:
    """Words of a text as lists of ids; there is always one, if only an empty one."""
    words: WordIds = [[]]
    for symbol in text.tolist():
        if symbol == WORD_BOUNDARY_TOKEN:
            words.append([])
        else:
            words[-1].append(symbol)
    return words


def join_words(words: WordIds) -> Tensor:
    """Ids of words with a boundary between each two: (t,)."""
    ids: list[int] = []
    for word in words:
        ids += [WORD_BOUNDARY_TOKEN, *word]
    return torch.tensor(ids[1:], dtype=torch.long)


def delete_words(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Skip one or two neighbouring words."""
    at = random_int(0, len(words), generator)
    return words[:at] + words[at + random_int(1, 3, generator) :]


def repeat_words(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Repeat one or two neighbouring words."""
    at = random_int(0, len(words), generator)
    end = at + random_int(1, 3, generator)
    return words[:end] + words[at:]


def substitute_word(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Say a foreign word instead of one."""
    at, which = random_int(0, len(words), generator), random_int(0, len(foreign), generator)
    return [*words[:at], foreign[which], *words[at + 1 :]]


def swap_words(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Exchange two neighbouring words."""
    if len(words) < 2:
        return words
    at = random_int(0, len(words) - 1, generator)
    return [*words[:at], words[at + 1], words[at], *words[at + 2 :]]


def substitute_symbols(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Give half of a word's symbols foreign sounds."""
    sounds = [symbol for word in foreign for symbol in word]
    at = random_int(0, len(words), generator)
    if not sounds:
        return words
    changed = torch.rand(len(words[at]), generator=generator) < SUBSTITUTED_FRACTION
    mumbled = [
        sounds[random_int(0, len(sounds), generator)] if change else symbol
        for symbol, change in zip(words[at], changed.tolist(), strict=True)
    ]
    return [*words[:at], mumbled, *words[at + 1 :]]


def edit_one_symbol(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Leave out, add or change a single sound of a word."""
    sounds = [symbol for word in foreign for symbol in word]
    at = random_int(0, len(words), generator)
    word = words[at]
    if not sounds or not word:
        return words
    place, sound = (
        random_int(0, len(word), generator),
        sounds[random_int(0, len(sounds), generator)],
    )
    ways: WordIds = [[sound], [sound, word[place]]]
    if len(word) > 1:
        ways.append([])
    said = [*word[:place], *ways[random_int(0, len(ways), generator)], *word[place + 1 :]]
    return [*words[:at], said, *words[at + 1 :]]


def append_words(words: WordIds, foreign: WordIds, generator: torch.Generator) -> WordIds:
    """Go on with foreign words after the end."""
    at = random_int(0, len(foreign), generator)
    return words + foreign[at : at + random_int(1, 4, generator)]


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
    """Drop, repeat, overwrite or exchange a stretch, stop early, or babble on.

    codes: (m,).  Returns (m',), at least one code.
    """
    m = len(codes)
    low, high = (max(MIN_SPAN_CODES, round(share * m)) for share in SPAN_FRACTION)
    n = max(1, min(random_int(low, high + 1, generator), m - 1))
    here, there = (random_int(0, max(1, m - n + 1), generator) for _ in range(2))
    before, span, after = codes[:here], codes[here : here + n], codes[here + n :]
    elsewhere = codes[there : there + n]
    faults = (
        (before, after),
        (before, span, span, after),
        (before, elsewhere, after),
        (before, after[:n], span, after[n:]),
        (codes[: m - n],),
        (codes, elsewhere),
    )
    spoiled = torch.cat(faults[random_int(0, len(faults), generator)])
    return spoiled if len(spoiled) and not torch.equal(spoiled, codes) else torch.cat([codes, span])

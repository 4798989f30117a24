"""Make text and codes that almost belong together: what a ranker must learn to tell from the truth.

The faults are those of bad drafts: words left out, said twice, replaced, mumbled, or babbled after
the end. Texts are spoiled word by word, so the speech beside them stays natural and no seam gives
the fault away. Codes are spoiled with stretches of the same clip, so the voice never gives it away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tortoise.spelling import BOUNDARY

SHORTEST_SPAN = 5  # codes: 0.23 s, longer than most pauses, so that a cut is heard
SPAN_SHARE = (0.1, 0.4)  # of the clip
MUMBLED = 0.5  # share of a word's symbols that a mumble changes

Words = list[list[int]]


def draw(low: int, high: int, generator: torch.Generator) -> int:
    """One of low..high-1."""
    return int(torch.randint(low, high, (1,), generator=generator))


def spoil_text(text: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Change a word or two, never to the same text again.

    text: (t,) ids without stop;  other: (t',) a text to take foreign words from.
    Returns (t'',) ids.
    """
    words, foreign = split_words(text), split_words(other)
    fault = TEXT_FAULTS[draw(0, len(TEXT_FAULTS), generator)]
    spoiled = fault(words, foreign, generator)
    if not spoiled or spoiled == words:
        spoiled = babble_on(words, foreign, generator)
    return join_words(spoiled)


def split_words(text: Tensor) -> Words:
    """Words of a text as lists of ids; there is always one, if only an empty one."""
    words: Words = [[]]
    for symbol in text.tolist():
        if symbol == BOUNDARY:
            words.append([])
        else:
            words[-1].append(symbol)
    return words


def join_words(words: Words) -> Tensor:
    """Ids of words with a boundary between each two: (t,)."""
    ids: list[int] = []
    for word in words:
        ids += [BOUNDARY, *word]
    return torch.tensor(ids[1:], dtype=torch.long)


def leave_out(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Skip one or two neighbouring words."""
    at = draw(0, len(words), generator)
    return words[:at] + words[at + draw(1, 3, generator) :]


def say_twice(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Repeat one or two neighbouring words."""
    at = draw(0, len(words), generator)
    end = at + draw(1, 3, generator)
    return words[:end] + words[at:]


def replace(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Say a foreign word instead of one."""
    at, which = draw(0, len(words), generator), draw(0, len(foreign), generator)
    return [*words[:at], foreign[which], *words[at + 1 :]]


def change_places(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Exchange two neighbouring words."""
    if len(words) < 2:
        return words
    at = draw(0, len(words) - 1, generator)
    return [*words[:at], words[at + 1], words[at], *words[at + 2 :]]


def mumble(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Give half of a word's symbols foreign sounds."""
    sounds = [symbol for word in foreign for symbol in word]
    at = draw(0, len(words), generator)
    if not sounds:
        return words
    changed = torch.rand(len(words[at]), generator=generator) < MUMBLED
    mumbled = [
        sounds[draw(0, len(sounds), generator)] if change else symbol
        for symbol, change in zip(words[at], changed.tolist(), strict=True)
    ]
    return [*words[:at], mumbled, *words[at + 1 :]]


def slip(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Leave out, add or change a single sound of a word."""
    sounds = [symbol for word in foreign for symbol in word]
    at = draw(0, len(words), generator)
    word = words[at]
    if not sounds or not word:
        return words
    place, sound = draw(0, len(word), generator), sounds[draw(0, len(sounds), generator)]
    ways: Words = [[sound], [sound, word[place]]]
    if len(word) > 1:
        ways.append([])
    said = [*word[:place], *ways[draw(0, len(ways), generator)], *word[place + 1 :]]
    return [*words[:at], said, *words[at + 1 :]]


def babble_on(words: Words, foreign: Words, generator: torch.Generator) -> Words:
    """Go on with foreign words after the end."""
    at = draw(0, len(foreign), generator)
    return words + foreign[at : at + draw(1, 4, generator)]


TEXT_FAULTS: Sequence[Callable[[Words, Words, torch.Generator], Words]] = (
    leave_out, say_twice, replace, change_places, mumble, mumble, slip, slip, babble_on,
)  # fmt: skip


def spoil_codes(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Drop, repeat, overwrite or exchange a stretch, stop early, or babble on.

    codes: (m,).  Returns (m',), at least one code.
    """
    m = len(codes)
    low, high = (max(SHORTEST_SPAN, round(share * m)) for share in SPAN_SHARE)
    n = max(1, min(draw(low, high + 1, generator), m - 1))
    here, there = (draw(0, max(1, m - n + 1), generator) for _ in range(2))
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
    spoiled = torch.cat(faults[draw(0, len(faults), generator)])
    return spoiled if len(spoiled) and not torch.equal(spoiled, codes) else torch.cat([codes, span])

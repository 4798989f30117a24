"""Generate the texts of the corpus: from a grammar, from a ranked word list, and from files.

The grammar gives ordinary English prosody, word lists the phonemes in all contexts, phrases of one
to three words the ends of utterances.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

MAX_SENTENCE_CHARS = 170


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMix:
    """Weights of the kinds of text."""

    grammar: float = 0.45
    words: float = 0.30
    scraps: float = 0.08
    long: float = 0.07
    files: float = 0.10


@lru_cache(maxsize=1)
def load_ranked_words() -> tuple[str, ...]:
    """Load English words, the most frequent first."""
    lines = files("recipes.corpus").joinpath("words.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=1)
def load_grammar() -> dict[str, tuple[str, ...]]:
    """Load the rules of grammar.txt: name -> alternatives."""
    rules: dict[str, list[str]] = {}
    name = ""
    for line in files("recipes.corpus").joinpath("grammar.txt").read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            name = line.strip("[] ")
            continue
        rules.setdefault(name, []).extend(part.strip() for part in line.split("|") if part.strip())
    return {key: tuple(value) for key, value in rules.items()}


def generate_sentences(
    seed: int, mix: TextMix | None = None, texts: Sequence[Path] = ()
) -> Iterator[str]:
    """Yield sentences without end; the same seed, mix and files give the same sequence."""
    mix, draw = mix or TextMix(), random.Random(seed)
    from_files = [line for path in texts for line in extract_sentences(path.read_text("utf-8"))]
    kinds: dict[Callable[[random.Random], str], float] = {
        _generate_from_grammar: mix.grammar,
        _generate_from_words: mix.words,
        _generate_short_phrase: mix.scraps,
        _generate_long_sentence: mix.long,
        lambda d: d.choice(from_files): mix.files if from_files else 0.0,
    }
    makers, weights = list(kinds), list(kinds.values())
    while True:
        text = draw.choices(makers, weights)[0](draw)
        if 2 <= len(text) <= MAX_SENTENCE_CHARS:
            yield text


def extract_sentences(text: str) -> Iterable[str]:
    """Find plain sentences of 3 to 25 words in a text."""
    flat = re.sub(r"\s+", " ", text)
    for sentence in re.findall(r"(?<=[.!?] )[A-Z][A-Za-z ,;'-]+[.!?]", flat):
        if 3 <= len(sentence.split()) <= 25 and len(sentence) <= MAX_SENTENCE_CHARS:
            yield sentence


def _generate_from_grammar(draw: random.Random, start: str = "sentence") -> str:
    text = _expand(draw, "{" + start + "}")
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[0].upper() + text[1:]


def _expand(draw: random.Random, phrase: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        return _expand(draw, draw.choice(load_grammar()[match[1]]))

    return re.sub(r"\{(\w+)\}", replaced, phrase)


def _draw_word(draw: random.Random) -> str:
    """Draw a word, frequent ones more often."""
    words = load_ranked_words()
    return words[int(len(words) * draw.random() ** 1.8)]


def _generate_from_words(draw: random.Random, low: int = 4, high: int = 11) -> str:
    words = [_draw_word(draw) for _ in range(draw.randint(low, high))]
    if len(words) > 5 and draw.random() < 0.35:
        cut = draw.randint(1, len(words) - 3)
        words[cut] += ","
    return (" ".join(words) + draw.choices(".?!", (8, 1, 1))[0]).capitalize()


def _generate_short_phrase(draw: random.Random) -> str:
    if draw.random() < 0.4:
        return _generate_from_grammar(draw, "scrap")
    return _generate_from_words(draw, 1, 3)


def _generate_long_sentence(draw: random.Random) -> str:
    joined = _generate_from_grammar(draw).rstrip(".?!") + draw.choice(
        (", and ", "; ", ", but ", ". ")
    )
    tail = _generate_from_grammar(draw)
    return joined + (tail if joined.endswith(". ") else tail[0].lower() + tail[1:])

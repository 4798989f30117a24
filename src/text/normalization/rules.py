"""The parts of text normalization: a rule, and the rules of one kind of expression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import regex

Match: TypeAlias = Any  # regex.Match; the library has no types
Example: TypeAlias = tuple[str, str]  # written, spoken

CAPITALIZED = r"[A-Z][\w'-]*"
NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d+)?|\.\d+"
"""A number after its grouping was normalized: 1,234,567.89 or 1234.5 or .5."""

DETERMINER = (
    r"(?<=\b(?:[Aa]n?|[Tt]he|[Tt]his|[Tt]hat|[Hh]is|[Hh]er|[Mm]y|[Yy]our|[Oo]ur|[Tt]heir|[Ee]ach|"
    r"[Ee]very|[Oo]ne|[Tt]wo|"
    r"[Tt]hree|[Ff]our|[Ff]ive|[Tt]en|[Nn]ew|[Aa]nother)\s)"
)
NOT_A_NOUN = (
    r"(?:of|is|are|was|were|will|to|in|into|from|away|long|wide|high|tall|deep|thick|and|or|at|on|"
    r"per|that|which|who|more|less|than|for|with|by|before|after|later|ago|each|every|as|if|when|"
    r"off|up|down|apart|old|left|it|we|they|he|she|you|has|have|had|can|may|must|not|but|so|then|"
    r"here|there|now|today|only|about|a|an|the|today|this|north|south|east|west)\b"
)

_DIGIT = regex.compile(r"\d", regex.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Rewrites one way of writing.

    read: text to text. examples: pairs of a text and its normalized form.
    """

    read: Callable[[str], str]
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The rules of one kind of expression, in the order in which they are applied.

    needs_digit: whether every rule needs a digit, so that other texts can be skipped.
    """

    name: str
    rules: tuple[Rule, ...]
    needs_digit: bool = False

    def read(self, text: str) -> str:
        """Apply all rules."""
        if self.needs_digit and not _DIGIT.search(text):
            return text
        for rule in self.rules:
            text = rule.read(text)
        return text


def substitute(
    pattern: str,
    replacement: str | Callable[[Match], str],
    *examples: Example,
    ignore_case: bool = False,
) -> Rule:
    """Return the rule that replaces what a pattern matches; letters and digits are ASCII."""
    flags = regex.ASCII | (regex.IGNORECASE if ignore_case else 0)
    return Rule(read=partial(regex.compile(pattern, flags).sub, replacement), examples=examples)

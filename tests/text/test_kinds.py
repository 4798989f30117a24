"""The reader's kinds: every rule has examples that the whole reader makes true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from text.normalization.pipeline import load_kinds, normalize_text

EXAMPLES = [
    pytest.param(written, spoken, id=f"{kind.name}: {written}")
    for kind in load_kinds()
    for rule in kind.rules
    for written, spoken in rule.examples
]

READINGS = json.loads(Path(__file__).with_name("readings.json").read_text("utf-8"))


@pytest.mark.parametrize(("written", "spoken"), EXAMPLES)
def test_the_examples_of_a_rule_are_true(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


def test_kinds_have_names_and_examples() -> None:
    names = [kind.name for kind in load_kinds()]
    assert len(set(names)) == len(names) and len(EXAMPLES) >= 250


@pytest.mark.parametrize("kind", READINGS)
def test_a_kind_is_read_in_the_many_ways_that_people_write_it(kind: str) -> None:
    read = {written: normalize_text(written) for written in READINGS[kind]}
    wrong = {written: said for written, said in read.items() if said != READINGS[kind][written]}
    assert not wrong


@pytest.mark.parametrize("kind", READINGS)
def test_a_reading_is_the_same_within_a_sentence(kind: str) -> None:
    """What stands in front must not change how most of a kind is read."""
    texts = {
        text: said
        for text, said in READINGS[kind].items()
        if text[0] not in "-–−+>*#1234567890.@|`~<• \t"
    }
    same = sum(
        normalize_text(f"She said: {text}").endswith(said.lstrip("- "))
        for text, said in texts.items()
    )
    assert same >= 0.9 * len(texts)


def test_a_text_of_plain_words_is_left_alone() -> None:
    text = "Nobody went near it; the rest, as they say, is not for us. Is it? I think so!"
    assert normalize_text(text) == text


@pytest.mark.parametrize(
    "part",
    ["1", "1-", "1 ", "111 ", "111.", "111,", "1.", "A1", "$1-", "1:", "x^", "²", "'1", "- ",
     "1/2-", "5am-", "CO₂", "Ab ", "[", "(", "*", "`", "_a", "&amp;", "<a ", "= 5 ", "\n", " "],
)  # fmt: skip
def test_long_runs_of_anything_are_read(part: str) -> None:
    assert normalize_text(part * 3_000).isascii()

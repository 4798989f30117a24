"""The reader's kinds: every rule has examples that the whole reader makes true."""

from __future__ import annotations

import pytest

from text.normalization.pipeline import load_kinds, normalize_text

EXAMPLES = [
    pytest.param(written, spoken, id=f"{kind.name}: {written}")
    for kind in load_kinds()
    for rule in kind.rules
    for written, spoken in rule.examples
]


@pytest.mark.parametrize(("written", "spoken"), EXAMPLES)
def test_the_examples_of_a_rule_are_true(written: str, spoken: str) -> None:
    assert normalize_text(written) == spoken


def test_kinds_have_names_and_examples() -> None:
    names = [kind.name for kind in load_kinds()]
    assert len(set(names)) == len(names) and len(EXAMPLES) >= 250

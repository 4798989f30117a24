"""docs/reliability.md names each of the 25 tests, and what it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
IDS = [*(f"S{n}" for n in range(1, 10)), *(f"R{n}" for n in range(1, 15)), "P1", "C1"]
ROWS = {
    match[1]: match[2]
    for match in re.finditer(r"^\| ([SRPC]\d+) \|.*\|(.*)\|$", PAGE, re.MULTILINE)
}


def test_every_test_of_the_plan_is_in_the_table_once() -> None:
    found = re.findall(r"^\| ([SRPC]\d+) \|", PAGE, re.MULTILINE)
    assert found == IDS


@pytest.mark.parametrize("id", IDS)
def test_the_tests_of_a_row_are_there(id: str) -> None:
    named = re.findall(r"`([^`]+)`", ROWS[id])
    assert named
    for place in named:
        path, _, function = place.partition("::")
        assert (ROOT / path).is_file(), place
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not function or function in functions, place


def test_every_path_that_the_page_names_is_there() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path

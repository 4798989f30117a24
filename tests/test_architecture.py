"""docs/architecture.md names files that exist, and answers enough questions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:src|recipes)[\w/]*(?:\.\w+)?)`", TEXT)))


def test_thirty_questions_are_answered_by_a_file() -> None:
    rows = re.findall(r"^\| [A-Z][^|]*\? \| `([^`]+)` \|$", TEXT, re.MULTILINE)
    assert len(rows) >= 30 and all((ROOT / row).is_file() for row in rows)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_in_the_document_exists(path: str) -> None:
    assert (ROOT / path).exists()

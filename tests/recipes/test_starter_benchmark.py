"""What the starter is judged by: the lines are what they claim, and the table tells a miss."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from text.normalization.pipeline import normalize_text

ROOT = Path(__file__).resolve().parents[2]
LINES = ROOT / "benchmarks" / "lines"
LETTERS = {"fbi": "f b i", "bbc": "b b c", "usa": "u s a", "mr": "mister", "mrs": "missus"}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("starter_bench", ROOT / "benchmarks/starter.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["starter_bench"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def plain(text: str) -> str:
    words = re.sub(r"[^a-z' ]", " ", text.lower()).split()
    return " ".join(LETTERS.get(word, word) for word in words)


def test_twenty_long_lines_have_25_to_40_words() -> None:
    lines = (LINES / "long.txt").read_text("utf-8").splitlines()
    assert len(set(lines)) == 20 and all(25 <= len(line.split()) <= 40 for line in lines)


def test_forty_hard_lines_are_read_as_the_judge_expects() -> None:
    with (LINES / "hard.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len({row["text"] for row in rows}) == 40
    assert [plain(normalize_text(row["text"])) for row in rows] == [row["words"] for row in rows]


def test_the_new_voices_are_ten(bench: ModuleType) -> None:
    assert len({speaker.name for speaker in bench.UNSEEN_SPEAKERS}) == 10


def test_the_table_tells_what_was_missed_and_leaves_out_what_was_not_measured(
    bench: ModuleType,
) -> None:
    table = bench.format_table({"long": {"wer": 0.3}, "hard": {"wer": 0.35}})
    assert "| WER, 20 long lines | <= 0.25 | 0.3 (missed) |" in table
    assert "| WER, 40 hard lines | <= 0.35 | 0.35 |" in table
    assert len(table.splitlines()) == 4


def test_every_bar_belongs_to_a_part(bench: ModuleType) -> None:
    assert {part for _, part, *_ in bench.BARS} <= set(bench.PARTS)

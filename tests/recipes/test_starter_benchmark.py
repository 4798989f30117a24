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
    table = bench.format_table({"long": {"wer": 0.3}, "hard": {"wer": 0.08}})
    assert "| WER, 20 long lines | <= 0.06 | 0.3 (missed) |" in table
    assert "| WER, 40 hard lines | <= 0.08 | 0.08 |" in table
    assert len(table.splitlines()) == 4


def test_every_bar_belongs_to_a_part(bench: ModuleType) -> None:
    assert {part for _, part, *_ in bench.BARS} <= set(bench.PARTS)


def test_a_hard_line_counts_as_it_is_written_or_as_it_is_spoken(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()

    def synthesize(benchmark: object, part: str, lines: list[tuple[str, str, str]]) -> Path:
        rows = [(f"{n}.wav", spoken, voice) for n, (_, spoken, voice) in enumerate(lines)]
        bench.write_rows(clips / "items.csv", ("wav", "text", "voice"), rows)
        return clips

    spoken = {row["words"] for row in bench.read_rows(LINES / "hard.csv")}

    def run_judge(benchmark: object, folder: Path) -> dict[str, float]:
        """Hear every second line as it is spoken, and the others as they are written."""
        texts = [row["text"] for row in bench.read_rows(folder / "items.csv")]
        rates = [float((text in spoken) != (n % 2 == 0)) for n, text in enumerate(texts)]
        (folder / "judged.txt").write_text("".join(f"{rate} x\n" for rate in rates) + "{}")
        return {"wer": sum(rates) / len(rates)}

    monkeypatch.setattr(bench, "synthesize", synthesize)
    monkeypatch.setattr(bench, "run_judge", run_judge)
    metrics = bench.hard(None)
    assert metrics == {"wer": 0.0, "wer_spelled": 0.5}

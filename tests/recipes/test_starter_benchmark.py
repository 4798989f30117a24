"""What the starter is judged by: the lines are what they claim, and the table tells a miss."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from audio.clip import Clip
from text.normalization.pipeline import normalize_text
from training.asr.base import Segment, Transcript
from training.asr.wer import normalize_to_words

ROOT = Path(__file__).resolve().parents[2]
LINES = ROOT / "benchmarks" / "lines"
TONE = 0.1 * torch.arange(8_000).sin()
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


def test_a_number_of_a_hard_line_may_be_transcribed_in_digits(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waves = 0

    class Ear:
        """Hear every line as it is written, and nothing in the last one."""

        name = "ear"

        def transcribe(self, wave: object, report: object) -> Transcript:
            nonlocal waves
            waves += 1
            text = bench.read_rows(LINES / "hard.csv")[waves - 1]["text"] if waves < 40 else ""
            return Transcript(segments=(Segment(start_s=0.0, stop_s=1.0, text=text),))

    def synthesize(benchmark: object, part: str, lines: list[tuple[str, str, str]]) -> Path:
        rows = [(f"{n}.wav", spoken, voice) for n, (_, spoken, voice) in enumerate(lines)]
        bench.write_rows(tmp_path / "items.csv", ("wav", "text", "voice"), rows)
        for name, *_ in rows:
            bench.write_clip(tmp_path / name, Clip(wave=TONE, sample_rate=8_000))
        return tmp_path

    monkeypatch.setattr(bench, "synthesize", synthesize)
    monkeypatch.setattr(bench, "load_transcriber", lambda *_: Ear())
    lines = [row["text"] for row in bench.read_rows(LINES / "hard.csv")]
    words = [len(normalize_to_words(normalize_text(line))) for line in lines]
    assert bench.hard(None) == {"wer": round(words[-1] / sum(words), 4), "transcriber": "ear"}

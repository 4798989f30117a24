"""The report of a dataset is one HTML page with what the dataset has."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.datasets.dataset_reports import DatasetReportRequest, find_report
from studio.workers.datasets.dataset_report import write_dataset_report
from support.gold_project import write_gold_project
from training.asr.base import Word
from training.dataset_prep.manifest import ClipRow, Dataset, write_dataset
from training.dataset_report.content import (
    ReportContent,
    ReportRow,
    count_syllables,
    find_rate_outliers,
)
from training.dataset_report.page import render_page
from training.gold.report import write_report
from training.gold.workflow import GoldTools

TONE = Clip(wave=0.3 * torch.sin(torch.arange(24_000) / 20), sample_rate=24_000)


def make_tools() -> GoldTools:
    return GoldTools(
        cut=lambda start, stop: TONE,
        duration_s=12.5,
        speech=lambda report: [],
        embed=lambda samples: np.ones(4) / 2,
        recognize=None,
        align=lambda start, stop, words: None,
    )


def test_the_report_of_a_gold_project_shows_words_sound_and_overlaps(tmp_path: Path) -> None:
    folder = write_gold_project(ProjectPaths.from_root(tmp_path))
    page = write_report(folder, make_tools()).read_text("utf-8")
    assert "1 utterances" in page and "another speaker" in page and "YELLOW" in page
    assert "3.9 to 4.6 s" in page and "&lt;my&gt;" in page and "<my>" not in page
    assert page.count("data:audio/ogg") == 2 and ">Hello</text>" in page
    assert not re.search(r"""(src|href)=["']https?:""", page)


def test_a_prepared_dataset_has_a_report_too(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    folder = layout.dataset("nora")
    (folder / "audio").mkdir(parents=True)
    write_clip(folder / "audio" / "one.wav", TONE)
    words = (Word(text="Good", start_s=0.1, stop_s=0.4), Word(text="day", start_s=0.5, stop_s=0.9))
    clip = ClipRow(id="one", source="a.wav", start_s=0.0, stop_s=1.0, text="Good day", words=words)
    gone = ClipRow(
        id="two", source="a.wav", start_s=1.0, stop_s=2.0, text="<b>", kept=False, reason="noisy"
    )
    write_dataset(folder, Dataset(name="nora", voice="nora", clips=(clip, gone)))
    assert find_report(layout, "nora") is None
    made = write_dataset_report(layout, DatasetReportRequest(name="nora"), ProgressReporter())
    assert (made.kind, made.rows) == ("prepared", 2)
    path = find_report(layout, "prepared/nora")
    assert path is not None
    page = path.read_text("utf-8")
    assert ">Good</text>" in page and "too much background noise" in page and "<b>" not in page


def test_an_unusual_rate_is_told() -> None:
    text = "one two three four five six"
    rows = [ReportRow(id=str(n), duration=2.0 + n / 50, text=text) for n in range(10)]
    fast = ReportRow(id="fast", duration=0.7, text=text)
    assert {row.id for row, _ in find_rate_outliers([*rows, fast])} == {"fast"}
    assert find_rate_outliers(rows[:3]) == []
    assert count_syllables("banana tree, rhythm") == 5


def test_a_dataset_without_texts_and_sound_is_shown() -> None:
    rows = [ReportRow(id=str(n), duration=2.0, speaker="Ann") for n in range(4)]
    page = render_page(ReportContent(title="voices", rows=rows))
    assert "4 utterances" in page and "Ann" in page and "Rate" not in page

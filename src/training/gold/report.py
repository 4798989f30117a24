"""The report of a gold-standard project."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from audio.clip import ClipError
from training.dataset_report.content import ReportContent, ReportRow, ReportWord
from training.dataset_report.page import write_page
from training.gold.diarization.clustering import Embed
from training.gold.diary import read_diary
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    OVERLAPS_FILE,
    REPORT_FILE,
    WORDS_FILE,
    CheckRow,
    OverlapRow,
    WordRow,
    read_rows,
)
from training.gold.row_conversion import read_utterances
from training.gold.utterances import Utterance
from training.gold.workflow import GoldTools, wave_of

MAX_MAPPED = 150  # utterances on the map of the voices


def write_report(folder: Path, tools: GoldTools) -> Path:
    """Write the report of a project. Needs matplotlib; raises AppError without."""
    checks = read_rows(folder / CHECK_FILE, CheckRow)
    overlaps = read_rows(folder / OVERLAPS_FILE, OverlapRow)
    content = ReportContent(
        title=folder.name,
        rows=read_report_rows(folder, tools),
        turns=read_diary(folder / DIARY_FILE),
        overlaps=[(row.start, row.stop) for row in overlaps],
        flagged=[row for row in checks if row.status != "agrees" or row.written],
        embeddings=_embed_utterances(read_utterances(folder), tools, tools.embed),
    )
    return write_page(folder / REPORT_FILE, content)


def read_report_rows(folder: Path, tools: GoldTools) -> list[ReportRow]:
    """Return the utterances of a project with their words."""
    words = read_rows(folder / WORDS_FILE, WordRow)
    rows = []
    for one in read_utterances(folder):
        inside = [
            word
            for word in words
            if word.turn == one.turn and word.start < one.stop and one.start < word.stop
        ]
        rows.append(
            ReportRow(
                id=one.id,
                duration=one.duration,
                speaker=one.speaker,
                text=one.text,
                score=one.score,
                problems=one.problems,
                words=tuple(
                    ReportWord(
                        text=word.source,
                        start=word.start - one.start,
                        stop=word.stop - one.start,
                        score=word.score,
                    )
                    for word in inside
                ),
                load=partial(tools.cut, one.start, one.stop),
            )
        )
    return rows


def _embed_utterances(
    utterances: list[Utterance], tools: GoldTools, embed: Embed
) -> dict[str, np.ndarray]:
    wave = wave_of(tools)
    step = max(1, -(-len(utterances) // MAX_MAPPED))
    found = {}
    for one in utterances[::step]:
        try:
            found[one.id] = embed(wave(one.start, one.stop))
        except ClipError:  # no speech in it
            continue
    return found

"""testudo speak --lines --cluster: rows as tasks of a Ray cluster, and workers that are lost."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.synthesis.batch import BatchJob
from studio.synthesis.batch_csv import BatchRow, InvalidBatchRow
from studio.synthesis.cluster import Cluster, synthesize_on_cluster
from studio.synthesis.request_builder import SpeechRequestInput

pytestmark = pytest.mark.thorough


class FragileSynthesizer:
    """Writes the text as the clip; a worker that meets "end once" or "end" is ended by force."""

    def __init__(self, layout: ProjectPaths) -> None:
        self.layout = layout

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> None:
        marker = self.layout.root / "ended"
        if "end once" in request.text and not marker.exists():
            marker.touch()
            os._exit(1)
        if "end always" in request.text:
            os._exit(1)
        if "no weights" in request.text:
            raise AppError("these weights are missing")
        Path(str(request.out)).write_text(request.text, encoding="utf-8")

    def weights_id(self, request: SpeechRequest, report: ProgressReporter) -> str:
        return ""


def test_a_lost_worker_costs_its_row_only(layout: ProjectPaths, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    texts = ["one", "end once", "three", "end always", "five", "no weights"]
    rows: list[BatchRow | InvalidBatchRow] = [
        BatchRow(number=number, text=f"{text}.", name=f"{number:03d}", voice="alice")
        for number, text in enumerate(texts, start=1)
    ]
    rows.append(InvalidBatchRow(number=7, reason="its text is empty"))
    events: list[ProgressEvent] = []
    job = BatchJob(
        folder=tmp_path / "out",
        request_input=SpeechRequestInput(voice="alice"),
        layout=layout,
        settings=Settings(),
        synthesizer=FragileSynthesizer(layout),
        report=ProgressReporter(events.append),
    )
    cluster = Cluster(workers=2, synthesizer=f"{__name__}:FragileSynthesizer")
    result = synthesize_on_cluster(rows, job, cluster)
    with (tmp_path / "out" / "items.csv").open(encoding="utf-8", newline="") as file:
        items = list(csv.DictReader(file))
    assert [item["wav"] for item in items] == ["001.wav", "002.wav", "003.wav", "005.wav"]
    assert all((tmp_path / "out" / item["wav"]).read_text("utf-8") for item in items)
    assert [row.number for row in result.failed] == [4, 6, 7]
    assert "lost 3 times" in result.failed[0].reason
    assert (result.spoken, result.kept) == (4, 0)
    assert [event.done for event in events if event.stage == "table" and event.total] == list(
        range(1, 8)
    )

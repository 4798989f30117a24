"""Worker task that writes the HTML report of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from core.errors import reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.datasets.dataset_reports import (
    GOLD,
    PREPARED,
    REPORT_FILE,
    SPEAKERS,
    SYNTHESIZER,
    DatasetReportRequest,
    DatasetReportResult,
    find_dataset,
)
from studio.datasets.gold_request import GoldRequest
from studio.workers.context import WorkerContext
from studio.workers.datasets.gold_dataset import make_gold_dataset
from training.dataset_report.content import ReportContent
from training.dataset_report.page import write_page
from training.dataset_report.sources import (
    read_prepared_dataset,
    read_speakers,
    read_synthesizer_dataset,
)

READERS: Mapping[str, Callable[[Path], ReportContent]] = MappingProxyType(
    {
        PREPARED: read_prepared_dataset,
        SYNTHESIZER: read_synthesizer_dataset,
        SPEAKERS: read_speakers,
    }
)


def dataset_report_task(
    context: WorkerContext, request: DatasetReportRequest, report: ProgressReporter
) -> DatasetReportResult:
    """Write the report of a dataset."""
    return write_dataset_report(context.layout, request, report)


def write_dataset_report(
    layout: ProjectPaths, request: DatasetReportRequest, report: ProgressReporter
) -> DatasetReportResult:
    """Write the report of a dataset into its folder. Raises AppError where it cannot be read."""
    kind, folder = find_dataset(layout, request.name)
    if kind == GOLD:
        made = make_gold_dataset(layout, GoldRequest(name=folder.name, steps=("report",)), report)
        rows = made.utterances + made.left_out
    else:
        with (
            report.stage("report"),
            reraise_as_app_error(ValueError),
            translate_write_errors(folder),
        ):
            content = READERS[kind](folder)
            write_page(folder / REPORT_FILE, content)
            rows = len(content.rows)
    path = str(folder / REPORT_FILE)
    return DatasetReportResult(name=folder.name, kind=kind, path=path, rows=rows)

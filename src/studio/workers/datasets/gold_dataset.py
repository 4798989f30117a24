"""Worker task that makes a gold-standard dataset from a recording and its transcript."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

from core.errors import AppError, InvalidValueError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.datasets.gold_request import (
    GoldExportRequest,
    GoldExportResult,
    GoldRequest,
    GoldResult,
    find_gold_project,
    get_gold_folder,
)
from studio.workers.context import WorkerContext
from training.asr.base import TranscribeError
from training.gold.export import export_utterances
from training.gold.listening_copy import write_listening_copy
from training.gold.project_files import (
    CHECK_FILE,
    STEPS,
    UTTERANCES_FILE,
    CheckRow,
    DiarizationOptions,
    GoldProject,
    Method,
    create_project,
    read_project,
    read_rows,
)
from training.gold.report import write_report
from training.gold.row_conversion import (
    read_utterances,
)
from training.gold.tools import open_tools
from training.gold.workflow import run_steps

REPORT_STEP = "report"
EXPORT_DIR = "export"
METHOD_NAMES: dict[str, Method] = {name: name for name in get_args(Method)}


def gold_dataset_task(
    context: WorkerContext, request: GoldRequest, report: ProgressReporter
) -> GoldResult:
    """Run steps of a project; steps whose inputs have not changed are kept."""
    return make_gold_dataset(context.layout, request, report)


def make_gold_dataset(
    layout: ProjectPaths, request: GoldRequest, report: ProgressReporter
) -> GoldResult:
    """Run a request. Raises AppError where it cannot be done."""
    folder = _open_project(layout, request)
    project = read_project(folder)
    steps = [step for step in request.steps if step in STEPS]
    with (
        reraise_as_app_error(InvalidValueError, TranscribeError, ValueError),
        translate_write_errors(folder),
        open_tools(
            Path(project.recording), layout.whisper, report, encoder=request.encoder
        ) as tools,
    ):
        write_listening_copy(folder, tools)
        ran = run_steps(folder, tools, report, steps, anew=request.anew)
        if REPORT_STEP in request.steps and (folder / UTTERANCES_FILE).is_file():
            write_report(folder, tools)
            ran.append(REPORT_STEP)
    return _summarize(folder, request.project_name, tuple(ran))


def export_gold_task(
    context: WorkerContext, request: GoldExportRequest, report: ProgressReporter
) -> GoldExportResult:
    """Export the kept utterances of a project."""
    return export_gold_dataset(context.layout, request, report)


def export_gold_dataset(
    layout: ProjectPaths, request: GoldExportRequest, report: ProgressReporter
) -> GoldExportResult:
    """Export the kept utterances of a project in a layout. Raises AppError where there are none."""
    folder = find_gold_project(layout, request.name)
    if not (folder / UTTERANCES_FILE).is_file():
        raise AppError(f"{request.name} has no utterances yet. Run its steps first.")
    target = Path(request.target) if request.target else folder / EXPORT_DIR / request.layout
    if not request.target:
        shutil.rmtree(target, ignore_errors=True)  # an earlier export of this project
    project = read_project(folder)
    with (
        reraise_as_app_error(InvalidValueError),
        translate_write_errors(target),
        open_tools(Path(project.recording), layout.whisper, report) as tools,
    ):
        used = [one for one in read_utterances(folder) if not one.problems]
        tracked = list(report.track(used, "export"))
        files = export_utterances(
            target, request.layout, tracked, lambda one: tools.cut(one.start, one.stop)
        )
    return GoldExportResult(name=request.name, folder=str(target), utterances=len(files))


def _open_project(layout: ProjectPaths, request: GoldRequest) -> Path:
    """Return the folder of the project, which is started where a recording is given."""
    if not request.recording:
        return find_gold_project(layout, request.project_name)
    for path in (request.recording, request.transcript):
        if not Path(path).is_file():
            raise AppError(f"There is no file {path or '(transcript)'}.")
    folder = get_gold_folder(layout, request.project_name)
    project = GoldProject(
        recording=str(Path(request.recording).absolute()),
        transcript=str(Path(request.transcript).absolute()),
        speaker=request.speaker,
        options=DiarizationOptions(
            speakers=request.speakers or None,
            method=METHOD_NAMES[request.method],
        ),
    )
    with reraise_as_app_error(InvalidValueError), translate_write_errors(folder):
        create_project(folder, project)
    return folder


def _summarize(folder: Path, name: str, ran: tuple[str, ...]) -> GoldResult:
    checks = read_rows(folder / CHECK_FILE, CheckRow) if (folder / CHECK_FILE).is_file() else []
    has_utterances = (folder / UTTERANCES_FILE).is_file()
    utterances = read_utterances(folder) if has_utterances else []
    used = [one for one in utterances if not one.problems]
    return GoldResult(
        name=name,
        folder=str(folder),
        ran=ran,
        turns=len(checks),
        flagged=sum(check.status != "agrees" or bool(check.written) for check in checks),
        utterances=len(used),
        left_out=len(utterances) - len(used),
        seconds=sum(one.duration for one in used),
    )

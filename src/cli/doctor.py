"""testudo doctor: run diagnostics and suggest fixes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command
from cli.output import emit
from core.errors import AppError, translate_write_errors
from core.formatting import format_count
from core.paths import get_project_paths
from core.serialization import to_dict
from studio.app.job_service import restore_set_aside_jobs
from studio.diagnostics.checks import run_checks
from studio.diagnostics.report import format_finding_lines, format_system_lines
from studio.diagnostics.support_report import write_support_report
from studio.diagnostics.system_info import collect_system_info
from studio.schemas.settings import apply_folders
from studio.settings.store import load_settings

EXIT_FAULTS_FOUND = 2


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `doctor` to the program."""
    add_command(app, name, help)(run_doctor)


def run_doctor(
    restore_jobs: Annotated[
        bool,
        typer.Option("--restore-jobs", help="Take over the jobs of job lists that were set aside."),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.zip",
            help="Write system, settings and log into a zip file for a bug report, without texts, "
            "voices, paths and keys.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Return 2 where there is a fault."""
    if restore_jobs:
        return _restore_jobs(as_json)
    layout = folders = get_project_paths()
    settings = None
    with suppress(AppError):  # an invalid settings file is one of the findings
        settings = load_settings(layout)
        folders = apply_folders(layout, settings)
    system = collect_system_info(folders)
    findings = run_checks(layout, system)
    if report is not None:
        with translate_write_errors(report):
            write_support_report(folders, report, system, findings, settings=settings)
    faults = sum(finding.state == "fault" for finding in findings)
    summary = f"{faults} faults." if faults else "No faults."
    lines = [*format_system_lines(system), "", *format_finding_lines(findings), "", summary]
    lines += [f"Report: {report}"] if report else []
    plain = [{**to_dict(one), "told": one.message} for one in findings]  # told: its former name
    emit({"system": system, "findings": plain, "faults": faults}, lines, as_json)
    return EXIT_FAULTS_FOUND if faults else 0


def _restore_jobs(as_json: bool) -> int:
    restored = restore_set_aside_jobs(get_project_paths())
    text = f"{format_count(restored, 'job')} taken over; those that waited run at the next start."
    return emit({"restored": restored}, text, as_json)

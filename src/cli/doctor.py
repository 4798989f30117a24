"""testudo doctor: what is wrong here, and the one command that mends it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cli.options import Parser
from cli.output import print_json, print_line
from core.errors import AppError
from core.paths import ProjectPaths, get_project_paths
from studio.diagnostics.checks import run_checks
from studio.diagnostics.report import format_finding_lines, format_system_lines
from studio.diagnostics.system_info import collect_system_info
from studio.schemas.settings import apply_folders
from studio.settings.store import load_settings

EXIT_FAULTS_FOUND = 2


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `doctor` to the program."""
    parser = commands.add_parser("doctor", help="look for faults, and say what mends each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_doctor)


def run_doctor(parsed: argparse.Namespace) -> int:
    """Look at everything; exit code 2 where there is a fault."""
    layout = get_project_paths()
    system = collect_system_info(_apply_folder_settings(layout))
    findings = run_checks(layout, system)
    faults = [finding for finding in findings if finding.state == "fault"]
    if parsed.json:
        print_json({"system": system, "findings": findings, "faults": len(faults)})
        return EXIT_FAULTS_FOUND if faults else 0
    for line in (*format_system_lines(system), "", *format_finding_lines(findings), ""):
        print_line(line)
    print_line(f"{len(faults)} faults." if faults else "No faults.")
    return EXIT_FAULTS_FOUND if faults else 0


def _apply_folder_settings(layout: ProjectPaths) -> ProjectPaths:
    """Move the folders as the settings say; a file with a mistake is a finding, not the end."""
    try:
        return apply_folders(layout, load_settings(layout))
    except AppError:
        return layout

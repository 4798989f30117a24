"""testudo doctor: what is wrong here, and the one command that mends it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from studio.cli_flags import Parser
from studio.cli_output import say, say_json
from studio.doctor import examine
from studio.errors import StudioError
from studio.layout import Layout, open_layout
from studio.report import finding_lines, system_lines
from studio.settings import apply_folders
from studio.settings_file import load_settings
from studio.system import look_at_system

FAULTY = 2


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `doctor` to the program."""
    parser = commands.add_parser("doctor", help="look for faults, and say what mends each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_doctor)


def run_doctor(parsed: argparse.Namespace) -> int:
    """Look at everything; exit code 2 where there is a fault."""
    layout = open_layout()
    system = look_at_system(_moved(layout))
    findings = examine(layout, system)
    faults = [finding for finding in findings if finding.state == "fault"]
    if parsed.json:
        say_json({"system": system, "findings": findings, "faults": len(faults)})
        return FAULTY if faults else 0
    for line in (*system_lines(system), "", *finding_lines(findings), ""):
        say(line)
    say(f"{len(faults)} faults." if faults else "No faults.")
    return FAULTY if faults else 0


def _moved(layout: Layout) -> Layout:
    """Move the folders as the settings say; a file with a mistake is a finding, not the end."""
    try:
        return apply_folders(layout, load_settings(layout))
    except StudioError:
        return layout

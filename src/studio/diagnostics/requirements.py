"""What requirements.txt asks for, against what is installed."""

from __future__ import annotations

import re
import sys

from studio.diagnostics.system_info import get_installed_version

_PINNED_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)==([^;\s]+)\s*(?:;\s*(.+))?")
_PYTHON_VERSION_MARKER = re.compile(r'python_version\s*(<|<=|>|>=|==|!=)\s*"(\d+)\.(\d+)"')


def find_package_problems(requirements: str) -> list[str]:
    """Name every package that is missing or of another version than the file pins."""
    problems = []
    for line in requirements.splitlines():
        pinned = _PINNED_REQUIREMENT.fullmatch(line.split("#")[0].strip())
        if pinned is None or not _marker_applies(pinned[3] or ""):
            continue
        name, wanted = pinned[1], pinned[2]
        here = get_installed_version(name)
        if not here:
            problems.append(f"{name} {wanted} is missing")
        elif here.partition("+")[0] != wanted:
            problems.append(f"{name} is {here}, not {wanted}")
    return problems


def _marker_applies(marker: str) -> bool:
    """Say whether a line holds for this Python; markers of another kind are taken to hold."""
    found = _PYTHON_VERSION_MARKER.fullmatch(marker.strip())
    if found is None:
        return True
    sign, other = found[1], (int(found[2]), int(found[3]))
    ours = sys.version_info[:2]
    return {
        "<": ours < other,
        "<=": ours <= other,
        ">": ours > other,
        ">=": ours >= other,
        "==": ours == other,
        "!=": ours != other,
    }[sign]

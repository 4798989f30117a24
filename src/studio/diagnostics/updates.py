"""Check the git remote for a newer version, only on request."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError
from studio.model_store.lifecycle import check_online_allowed

GIT_TIMEOUT_S = 20.0
UPDATE_COMMAND = "./update.sh"
SOURCE_DIR = Path(__file__).resolve().parents[3]
"""Source folder of Testudo; the studio's folder may be another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpdatesRequest:
    """Check whether there is a newer version. root: the folder of the source."""

    root: str
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpdatesResult:
    """The result. fix: the command that installs the newer version, "" where there is none."""

    newer: bool
    message: str
    fix: str = ""


def read_newest_changes(changelog: Path = SOURCE_DIR / "CHANGELOG.md") -> str:
    """Return the newest part of the changelog that lists changes, as Markdown; "" without one."""
    try:
        text = changelog.read_text(encoding="utf-8")
    except OSError:
        return ""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    newest = next((part for part in parts if re.search("^- ", part, re.MULTILINE)), "")
    heading, _, body = newest.partition("\n")
    return f"## {heading.replace('[', '').replace(']', '')}\n{body}" if newest else ""


def can_check_for_updates(root: Path) -> bool:
    """Return whether the source is a git clone with a remote."""
    if shutil.which("git") is None or not (root / ".git").exists():
        return False
    return bool(_run_git(root, "remote").split())


def check_for_updates(request: CheckUpdatesRequest) -> CheckUpdatesResult:
    """Compare the checkout with the newest commit of its remote branch, without fetching.

    Raises AppError where the remote cannot be reached, or there is none.
    """
    check_online_allowed(request.offline)
    root = Path(request.root)
    if not can_check_for_updates(root):
        raise AppError(
            "Not a git checkout: updates cannot be checked. Download the newest version manually."
        )
    branch = _run_git(root, "rev-parse", "--abbrev-ref", "HEAD")
    remote = (
        _run_git(root, "config", f"branch.{branch}.remote") or _run_git(root, "remote").split()[0]
    )
    answer = _run_git(root, "ls-remote", remote, f"refs/heads/{branch}", network=True)
    newest = answer.split()[0] if answer else ""
    if not newest:
        return CheckUpdatesResult(newer=False, message=f"{remote} has no branch {branch}.")
    if _run_git(root, "merge-base", "--is-ancestor", newest, "HEAD", answers=True) == "yes":
        return CheckUpdatesResult(newer=False, message="This is the newest version.")
    return CheckUpdatesResult(newer=True, message="There is a newer version.", fix=UPDATE_COMMAND)


def _run_git(root: Path, *arguments: str, network: bool = False, answers: bool = False) -> str:
    """Run git quietly. answers: return "yes" or "no" by its exit code."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            env={
                **os.environ,
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            },
        )
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise AppError(
            f"git did not answer within {GIT_TIMEOUT_S:.0f} s. Check the network and try again.",
            code="hub_unreachable",
        ) from cause
    if answers:
        return "yes" if done.returncode == 0 else "no"
    if network and done.returncode != 0:
        raise AppError(
            "The git remote cannot be reached. Check the network and try again.",
            code="hub_unreachable",
        )
    return done.stdout.decode("utf-8", "replace").strip()

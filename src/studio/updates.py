"""Whether there is a newer Testudo: asked only on purpose, and only of the place it came from."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.models import refuse_offline

ASK_S = 20.0
UPDATE = "./update.sh"
SOURCE = Path(__file__).resolve().parents[2]
"""Where Testudo itself lies, which need not be the studio's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpdates:
    """A wish to know whether there is a newer version. root: the folder of the source."""

    root: str
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAnswer:
    """What was found. fix: the command that brings the newer version, "" where there is none."""

    newer: bool
    told: str
    fix: str = ""


def can_check(root: Path) -> bool:
    """Say whether Testudo was fetched with git from somewhere."""
    if shutil.which("git") is None or not (root / ".git").exists():
        return False
    return bool(_git(root, "remote").split())


def check_for_updates(request: CheckUpdates) -> UpdateAnswer:
    """Ask the git remote of the branch for its newest commit; fetches and changes nothing.

    Raises StudioError where nobody can be asked.
    """
    refuse_offline(request.offline)
    root = Path(request.root)
    if not can_check(root):
        raise StudioError(
            "Testudo was not fetched with git here, so there is nobody to ask. Download the newest "
            "version by hand."
        )
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    remote = _git(root, "config", f"branch.{branch}.remote") or _git(root, "remote").split()[0]
    answer = _git(root, "ls-remote", remote, f"refs/heads/{branch}", network=True)
    newest = answer.split()[0] if answer else ""
    if not newest:
        return UpdateAnswer(newer=False, told=f"{remote} has no branch {branch}.")
    if _git(root, "merge-base", "--is-ancestor", newest, "HEAD", answers=True) == "yes":
        return UpdateAnswer(newer=False, told="This is the newest version.")
    return UpdateAnswer(newer=True, told="There is a newer version.", fix=UPDATE)


def _git(root: Path, *arguments: str, network: bool = False, answers: bool = False) -> str:
    """Run git quietly. answers: return "yes" or "no" by its exit code."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ASK_S,
            env={
                **os.environ,
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            },
        )
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise StudioError(
            f"git did not answer within {ASK_S:.0f} s. Check the network and try again.",
            cause="hub_unreachable",
        ) from cause
    if answers:
        return "yes" if done.returncode == 0 else "no"
    if network and done.returncode != 0:
        raise StudioError(
            "The place that Testudo came from cannot be reached. Check the network and try again.",
            cause="hub_unreachable",
        )
    return done.stdout.decode("utf-8", "replace").strip()

"""The log file of the studio: what the server and its jobs report, with a level."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.files import create_private_file, make_private_folder
from core.paths import ProjectPaths
from jobs.models import Job

LOGGER = logging.getLogger("testudo")
LEVELS = ("INFO", "WARNING", "ERROR")
MAX_LOG_BYTES = 1_000_000  # of one file; the one before it is kept
MAX_ENTRIES = 500
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_HEADER = re.compile(
    r"(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ (?P<level>[A-Z]+) "
    r"(?P<source>[\w.-]+): (?P<text>.*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry.  details: the lines below it, such as a traceback."""

    when: str
    level: str
    source: str
    text: str
    details: str = ""


def start_log(layout: ProjectPaths) -> logging.Handler:
    """Write what is logged in this process to the log file as well; returns the handler.

    Without a folder that can be written the studio runs without a log file.
    """
    try:
        make_private_folder(layout.log.parent)
        create_private_file(layout.log)
    except OSError:
        return logging.NullHandler()
    handler = RotatingFileHandler(
        layout.log, maxBytes=MAX_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    if logging.lastResort is not None:  # warnings are still printed, as without a handler
        root.addHandler(logging.lastResort)
    logging.getLogger("uvicorn").addHandler(handler)  # does not propagate
    LOGGER.setLevel(logging.INFO)
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Close the log file."""
    for logger in (logging.getLogger(), logging.getLogger("uvicorn")):
        logger.removeHandler(handler)
    if logging.lastResort is not None:
        logging.getLogger().removeHandler(logging.lastResort)
    handler.close()


def log_ended_job(job: Job) -> None:
    """Log how a job ended; what it says about texts and voices goes below the entry."""
    seconds = (job.ended or 0) - (job.started or job.created)
    took = f"{job.task} {job.id}: {job.state} after {max(seconds, 0):.1f} s"
    details = "".join(f"\n{warning}" for warning in job.warnings)
    if job.failure is not None:
        details += f"\n{job.failure.message}\n{job.failure.details}".rstrip()
        LOGGER.error("%s (%s)%s", took, job.failure.cause, details)
    elif job.is_over:
        LOGGER.log(logging.WARNING if job.warnings else logging.INFO, "%s%s", took, details)


def read_log(layout: ProjectPaths, level: str = "INFO", limit: int = MAX_ENTRIES) -> list[LogEntry]:
    """Return the newest entries of at least this level, oldest first."""
    lines: list[str] = []
    for path in (layout.log.with_name(f"{layout.log.name}.1"), layout.log):
        lines += _read_lines(path)
    least = _get_level(level)
    found = [entry for entry in parse_log(lines) if _get_level(entry.level) >= least]
    return found[-limit:]


def parse_log(lines: Iterable[str]) -> list[LogEntry]:
    """Return the entries of a log file; lines before the first entry are dropped."""
    entries: list[LogEntry] = []
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header:
            entries.append(LogEntry(**header.groupdict()))
        elif entries:
            last = entries[-1]
            details = f"{last.details}\n{line}" if last.details else line
            entries[-1] = replace(last, details=details)
    return entries


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _get_level(name: str) -> int:
    return int(getattr(logging, name, logging.INFO))

"""A zip file for a bug report: system, settings and log, without texts, voices, paths and keys."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.files import atomic_path
from core.paths import ProjectPaths
from jobs.models import Job
from studio.diagnostics.checks import HealthCheckResult
from studio.diagnostics.log import LogEntry, read_log
from studio.diagnostics.report import format_report
from studio.diagnostics.system_info import SystemInfo, redact_private_data
from studio.schemas.settings import SettingField, Settings, list_setting_fields
from studio.settings.store import SECRET_ENV_VARS
from studio.voices.catalog import list_voices

# Any: requests of jobs, and settings, have values of any type.

SECRET_VARIABLES = (*SECRET_ENV_VARS.values(), "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
MIN_SECRET_LENGTH = 3  # characters; shorter ones would remove parts of other words
MAX_JOBS = 100
REMOVED = "…"
_QUOTED = re.compile(r"'[^'\n]+'|\"[^\"\n]+\"|«[^»\n]+»|“[^”\n]+”|‘[^’\n]+’")
_FRAME = re.compile(r'  File ".+", line \d+, in \S+')
_CODE = re.compile(r"    \S.*")  # the line of the program below a frame
_EXCEPTION = re.compile(
    r"((?:\w+\.)*\w*(?:Error|Exception|Warning|Interrupt|Exit|Cancelled))(:.*)?"
)
_HEADING = re.compile(r"Traceback \(most recent call last\):")


def write_support_report(
    layout: ProjectPaths,
    path: Path,
    system: SystemInfo,
    findings: Sequence[HealthCheckResult],
    jobs: Sequence[Job] = (),
    settings: Settings | None = None,
) -> None:
    """Write the zip file.  Raises OSError where that fails."""
    private = find_private_words(layout, jobs)
    members = {
        "system.txt": format_report(system, findings, layout.root),
        "settings.txt": "\n".join(list_public_settings(settings or Settings())),
        "jobs.txt": "\n".join(map(_format_job, jobs[:MAX_JOBS])),
        "log.txt": "\n".join(line for entry in read_log(layout) for line in strip_entry(entry)),
        "worker.txt": "\n".join(strip_details(_read_text(layout.state / "worker.log"))),
    }
    with atomic_path(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, remove_private_words(text, private, layout.root) + "\n")


def list_public_settings(settings: Settings) -> list[str]:
    """Return one line per setting; of free text only whether it is set."""
    return [
        f"{item.name}: {_format_setting(item, getattr(settings, item.name))}"
        for item in list_setting_fields()
    ]


def find_private_words(layout: ProjectPaths, jobs: Sequence[Job]) -> list[str]:
    """Return names of voices and datasets, lines of texts and secrets, the longest first."""
    names = {voice.name for voice in list_voices(layout)}
    own = (layout.results, layout.training, layout.training / "gold", layout.models / "finetunes")
    names |= {path.name for folder in own for path in _list_folders(folder)}
    texts = {line.strip() for job in jobs for line in _list_texts(job.request)}
    texts |= {job.title for job in jobs if " " in job.title}
    secrets = {part for name in SECRET_VARIABLES for part in os.environ.get(name, "").split(":")}
    found = {word for word in names | texts | secrets if len(word) >= MIN_SECRET_LENGTH}
    return sorted(found, key=len, reverse=True)


def remove_private_words(text: str, private: Iterable[str], root: Path) -> str:
    """Return the text without these words, and without the paths and the name of the user."""
    for word in private:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", REMOVED, text)
    return redact_private_data(text, root)


def strip_entry(entry: LogEntry) -> list[str]:
    """Return an entry of the log without quoted texts and without messages below it."""
    text = _QUOTED.sub(REMOVED, entry.text)
    header = f"{entry.when} {entry.level} {entry.source}: {text}"
    return [header, *strip_details(entry.details)]


def strip_details(text: str) -> list[str]:
    """Return the frames and the kinds of errors of tracebacks; messages may have texts in them."""
    kept: list[str] = []
    for line in text.splitlines():
        error = _EXCEPTION.fullmatch(line)
        is_code = bool(_CODE.fullmatch(line) and kept and _FRAME.fullmatch(kept[-1]))
        if error:
            kept.append(error[1])
        elif _HEADING.fullmatch(line) or _FRAME.fullmatch(line) or is_code:
            kept.append(line)
    return kept


def _format_setting(item: SettingField, value: Any) -> str:
    is_public = item.field.plain_type is not str or item.field.info.choices or item.name == "engine"
    if is_public or value == item.field.default:
        return str(value) or '""'
    return "(set)"


def _format_job(job: Job) -> str:
    cause = f", {job.failure.cause}" if job.failure else ""
    seconds = f", {job.ended - job.started:.1f} s" if job.ended and job.started else ""
    return f"{job.task}: {job.state}{seconds}{cause}"


def _list_texts(value: Any, key: str = "") -> list[str]:
    """Return the lines of all texts in a request; a single word only where it is the text."""
    if isinstance(value, str):
        return [line for line in value.splitlines() if key == "text" or " " in line.strip()]
    if isinstance(value, Mapping):
        return [line for name, part in value.items() for line in _list_texts(part, str(name))]
    if isinstance(value, (list, tuple)):
        return [line for part in value for line in _list_texts(part, key)]
    return []


def _list_folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

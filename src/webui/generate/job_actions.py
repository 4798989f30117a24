"""What the buttons in the job panel ask for. What a browser sends is only ever a job and a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.errors import AppError
from core.paths import quote_for_message
from core.progress import ProgressReporter
from jobs.models import Job
from studio.app.studio import Studio
from studio.history.favorites import read_stars
from studio.history.service import History
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import find_clip_path, get_clip_name
from studio.synthesis.retake import RegenerateLineRequest, RejoinClipRequest

# Any: what a browser sends.

JobActionData = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobActionResult:
    """What comes of a button: a word for the user, and what it puts into the form.

    values: controls by name;  record: a take that the whole form is filled from.
    """

    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    record: TakeMetadata | None = None


def handle_job_action(studio: Studio, asked: JobActionData) -> JobActionResult:
    """Do what a button asks for. Raises StudioError for what cannot be done."""
    act = ACTION_HANDLERS.get(str(asked.get("act")))
    if act is None:
        raise AppError("The page asked for something that is not known. Reload it.")
    return act(studio, studio.job(str(asked.get("job", ""))), asked)


def _cancel(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    studio.cancel(job.id)
    return JobActionResult()


def _resume(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    studio.resume(job.id)
    return JobActionResult()


def _keep_seed(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    seed = str(_get_result(job)["seed"])
    return JobActionResult(message=f"Seed {seed} is kept for the next run.", values={"seed": seed})


def _copy_settings(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    record = read_metadata(Path(str(_get_result(job)["path"])))
    return JobActionResult(message="The form shows how this clip was spoken.", record=record)


def _star(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    clip = _get_clip_name(studio, job)
    on = clip not in read_stars(studio.layout.stars)
    history = History.open(studio.layout)
    history.scan(ProgressReporter())  # it may not have seen the clip yet
    history.set_starred([clip], on)
    return JobActionResult()


def _regenerate_line(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    clip, line = _get_clip_name(studio, job), _parse_number(asked.get("value"), "line")
    seed = str(asked.get("seed") or "").strip()
    text = " ".join(str(asked.get("text") or "").split())
    request = RegenerateLineRequest(
        clip=clip, line=line, seed=_parse_number(seed, "seed") if seed else None, text=text or None
    )
    studio.submit(request, title=f"Line {line + 1} again: {text or clip}")
    return JobActionResult()


def _use_take(studio: Studio, job: Job, asked: JobActionData) -> JobActionResult:
    line, _, take = str(asked.get("value", "")).partition("/")
    request = RejoinClipRequest(clip=_get_clip_name(studio, job), takes={line: take})
    studio.submit(request, title=f"Another take of line {_parse_number(line, 'line') + 1}")
    return JobActionResult()


def _get_clip_name(studio: Studio, job: Job) -> str:
    """Return the combined clip of a job by its name below the results."""
    name = get_clip_name(studio.layout, Path(str(_get_result(job)["path"])))
    find_clip_path(studio.layout, name)
    return name


def _parse_number(given: Any, kind: str) -> int:
    word = str(given)
    if not (word.isascii() and word.isdecimal() and len(word) <= 19):
        raise AppError(f"{quote_for_message(word)} is no number of a {kind}. Write digits only.")
    return int(word)


def _get_result(job: Job) -> Mapping[str, Any]:
    if job.result is None:
        raise AppError("Nothing was spoken by this job yet. Wait until it is done.")
    return job.result


ACTION_HANDLERS: Mapping[str, Callable[[Studio, Job, JobActionData], JobActionResult]] = (
    MappingProxyType(
        {
            "cancel": _cancel,
            "resume": _resume,
            "seed": _keep_seed,
            "settings": _copy_settings,
            "star": _star,
            "redo": _regenerate_line,
            "use": _use_take,
        }
    )
)

"""What the buttons in the job panel ask for. What a browser sends is only ever a job and a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jobs.job import Job
from jobs.report import Reporter
from studio.errors import StudioError
from studio.history import History
from studio.history_stars import read_stars
from studio.layout import shown
from studio.redo import RedoRequest, RejoinRequest
from studio.results import clip_name, existing_clip
from studio.studio import Studio
from studio.tags import read_record
from studio.takes import TakeRecord

# Any: what a browser sends.

Asked = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What comes of a button: a word for the user, and what it puts into the form.

    values: controls by name;  record: a take that the whole form is filled from.
    """

    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    record: TakeRecord | None = None


def answer(studio: Studio, asked: Asked) -> Answer:
    """Do what a button asks for. Raises StudioError for what cannot be done."""
    act = ACTS.get(str(asked.get("act")))
    if act is None:
        raise StudioError("The page asked for something that is not known. Reload it.")
    return act(studio, studio.job(str(asked.get("job", ""))), asked)


def _cancel(studio: Studio, job: Job, asked: Asked) -> Answer:
    studio.cancel(job.id)
    return Answer()


def _resume(studio: Studio, job: Job, asked: Asked) -> Answer:
    studio.resume(job.id)
    return Answer()


def _keep_seed(studio: Studio, job: Job, asked: Asked) -> Answer:
    seed = str(_result(job)["seed"])
    return Answer(message=f"Seed {seed} is kept for the next run.", values={"seed": seed})


def _copy_settings(studio: Studio, job: Job, asked: Asked) -> Answer:
    record = read_record(Path(str(_result(job)["path"])))
    return Answer(message="The form shows how this clip was spoken.", record=record)


def _star(studio: Studio, job: Job, asked: Asked) -> Answer:
    clip = _clip_of(studio, job)
    on = clip not in read_stars(studio.layout.stars)
    history = History.open(studio.layout)
    history.scan(Reporter())  # it may not have seen the clip yet
    history.star([clip], on)
    return Answer()


def _redo(studio: Studio, job: Job, asked: Asked) -> Answer:
    clip, line = _clip_of(studio, job), _number(asked.get("value"), "line")
    seed = str(asked.get("seed") or "").strip()
    text = " ".join(str(asked.get("text") or "").split())
    request = RedoRequest(
        clip=clip, line=line, seed=_number(seed, "seed") if seed else None, text=text or None
    )
    studio.submit(request, title=f"Line {line + 1} again: {text or clip}")
    return Answer()


def _use(studio: Studio, job: Job, asked: Asked) -> Answer:
    line, _, take = str(asked.get("value", "")).partition("/")
    request = RejoinRequest(clip=_clip_of(studio, job), takes={line: take})
    studio.submit(request, title=f"Another take of line {_number(line, 'line') + 1}")
    return Answer()


def _clip_of(studio: Studio, job: Job) -> str:
    """Return the combined clip of a job by its name below the results."""
    name = clip_name(studio.layout, Path(str(_result(job)["path"])))
    existing_clip(studio.layout, name)
    return name


def _number(given: Any, kind: str) -> int:
    word = str(given)
    if not (word.isascii() and word.isdecimal() and len(word) <= 19):
        raise StudioError(f"{shown(word)} is no number of a {kind}. Write digits only.")
    return int(word)


def _result(job: Job) -> Mapping[str, Any]:
    if job.result is None:
        raise StudioError("Nothing was spoken by this job yet. Wait until it is done.")
    return job.result


ACTS: Mapping[str, Callable[[Studio, Job, Asked], Answer]] = MappingProxyType(
    {
        "cancel": _cancel,
        "resume": _resume,
        "seed": _keep_seed,
        "settings": _copy_settings,
        "star": _star,
        "redo": _redo,
        "use": _use,
    }
)

"""What the buttons in the job panel ask for. What a browser sends is only ever a job and a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jobs.job import Job
from studio.errors import StudioError
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
    }
)

"""What the worker can do, by name: each task is a light request and a heavy function.

`run(workshop, request, report) -> result` is called in the worker process; `workshop` is the one
`studio.tasks.workshop.Workshop` of that process, and the result is a dataclass with a plain form.
Add a row for a new task; `Studio.submit` finds it by the class of the request.

Going on after a crash or a stop: the function is called again with the same request, and
`report.kept` holds the data of the "take" events of the earlier runs, in order (the mappings that
`Job.takes` shows). A task with `goes_on=True` checks that what they name is still there, skips it,
and does not emit it again: the kept takes stay in the job. Work that cannot skip leaves `goes_on`
out; it fails when it is cut off, and a person may start it anew.
`SpeakRequest.out` is always set in a submitted request: Studio.submit names the file, so that work
taken up again writes to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jobs.job import Failure
from jobs.task import Task
from studio.causes import cause_of, details_of, told

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "speak": Task(
            request="studio.speaking:SpeakRequest",
            run="studio.tasks.workshop:speak",
            goes_on=True,
            gauge="studio.gauges:gauge_speaking",
        ),
        "redo": Task(
            request="studio.redo:RedoRequest",
            run="studio.tasks.redo:redo",
        ),
        "rejoin": Task(
            request="studio.redo:RejoinRequest",
            run="studio.tasks.redo:rejoin",
        ),
        "bring_voice": Task(
            request="studio.bringing:BringVoice",
            run="studio.tasks.bring:bring_voice",
        ),
        "keep_random": Task(
            request="studio.recordings:KeepRandom",
            run="studio.tasks.recordings:keep_random",
        ),
        "keep_recording": Task(
            request="studio.recordings:KeepRecording",
            run="studio.tasks.recordings:keep_recording",
        ),
        "download_model": Task(
            request="studio.models:DownloadModel",
            run="studio.tasks.models:download_model",
        ),
        "verify_model": Task(
            request="studio.models:VerifyModel",
            run="studio.tasks.models:verify_model",
        ),
        "clean_clip": Task(
            request="studio.utilities:CleanClip",
            run="studio.tasks.tend:clean_clip",
        ),
        "check_clip": Task(
            request="studio.utilities:CheckClip",
            run="studio.tasks.tend:check_clip",
        ),
        "check_voice": Task(
            request="studio.utilities:CheckVoice",
            run="studio.tasks.tend:check_voice",
        ),
        "judge_clip": Task(
            request="studio.utilities:JudgeClip",
            run="studio.tasks.tend:judge_clip",
        ),
        "merge_models": Task(
            request="studio.utilities:MergeModels",
            run="studio.tasks.merge:merge_models",
        ),
        "try_batch": Task(
            request="studio.configuring_try:TryBatch",
            run="studio.tasks.try_batch:try_batch",
        ),
        "publish_run": Task(
            request="studio.runs_publish:PublishRun",
            run="studio.tasks.publish:publish_run",
        ),
        "prepare": Task(
            request="studio.dataset_request:PrepareRequest",
            run="studio.tasks.prepare:prepare_dataset",
            goes_on=True,
        ),
        "check_updates": Task(
            request="studio.updates:CheckUpdates",
            run="studio.tasks.news:check_updates",
        ),
    }
)


def failure_of(error: Exception) -> Failure:
    """Say why a job failed, as the page shows it."""
    return Failure(cause=cause_of(error), message=told(error), details=details_of(error))

"""What the worker can do, by name: each task is a light request and a heavy function.

`run(workshop, request, report) -> result` is called in the worker process; `workshop` is the one
`studio.workers.context.WorkerContext` of that process, and the result is a dataclass with a plain
form.
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

from core.error_classifier import classify_error, format_traceback, format_user_message
from jobs.models import JobFailure
from jobs.task import Task

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "speak": Task(
            request="studio.schemas.speech:SpeechRequest",
            run="studio.workers.context:synthesize_speech_task",
            resumable=True,
            work_estimator="studio.synthesis.cost:estimate_speech_work",
        ),
        "redo": Task(
            request="studio.synthesis.retake:RegenerateLineRequest",
            run="studio.workers.retake:regenerate_line_task",
        ),
        "rejoin": Task(
            request="studio.synthesis.retake:RejoinClipRequest",
            run="studio.workers.retake:rejoin_clip_task",
        ),
        "bring_voice": Task(
            request="studio.voices.uploads:ImportVoiceRequest",
            run="studio.workers.create_voice:import_voice_task",
        ),
        "keep_random": Task(
            request="studio.schemas.voices:SaveRandomVoiceRequest",
            run="studio.workers.save_voice:save_random_voice_task",
        ),
        "keep_recording": Task(
            request="studio.schemas.voices:SaveRecordingRequest",
            run="studio.workers.save_voice:save_recording_task",
        ),
        "download_model": Task(
            request="studio.model_store.lifecycle:DownloadModelRequest",
            run="studio.workers.model_tasks:download_model_task",
        ),
        "install_speech_model": Task(
            request="studio.model_store.lifecycle:InstallSpeechModelRequest",
            run="studio.workers.install_speech_model:install_speech_model_task",
        ),
        "verify_model": Task(
            request="studio.model_store.lifecycle:VerifyModelRequest",
            run="studio.workers.model_tasks:verify_model_task",
        ),
        "clean_clip": Task(
            request="studio.schemas.clip_tools:DenoiseClipRequest",
            run="studio.workers.clip_tools:denoise_clip_task",
        ),
        "check_clip": Task(
            request="studio.schemas.clip_tools:CheckClipRequest",
            run="studio.workers.clip_tools:check_clip_task",
        ),
        "check_voice": Task(
            request="studio.schemas.clip_tools:CheckVoiceRequest",
            run="studio.workers.clip_tools:check_voice_task",
        ),
        "judge_clip": Task(
            request="studio.schemas.clip_tools:DetectSyntheticRequest",
            run="studio.workers.clip_tools:detect_synthetic_task",
        ),
        "merge_models": Task(
            request="studio.schemas.clip_tools:MergeModelsRequest",
            run="studio.workers.merge_models:merge_models_task",
        ),
        "try_batch": Task(
            request="studio.schemas.batch_probe:BatchProbeRequest",
            run="studio.workers.probe_batch:probe_batch_task",
        ),
        "publish_run": Task(
            request="studio.schemas.checkpoint_export:ExportCheckpointRequest",
            run="studio.workers.model_tasks:export_checkpoint_task",
        ),
        "prepare": Task(
            request="studio.datasets.prepare_request:PrepareRequest",
            run="studio.workers.prepare_dataset:prepare_dataset_task",
            resumable=True,
        ),
        "check_updates": Task(
            request="studio.diagnostics.updates:CheckUpdatesRequest",
            run="studio.workers.model_tasks:check_updates_task",
        ),
    }
)


def to_job_failure(error: Exception) -> JobFailure:
    """Say why a job failed, as the page shows it."""
    return JobFailure(
        cause=classify_error(error),
        message=format_user_message(error),
        details=format_traceback(error),
    )

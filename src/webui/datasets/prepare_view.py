"""HTML of Prepare Dataset: its jobs, what a request comes to, and the transcribers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.formatting import format_clock, format_count, format_duration
from core.tables.columns import TablePreview
from jobs.models import Job
from studio.app.studio import Studio
from studio.datasets.service import DatasetInfo, PreparePlan, list_transcribers
from webui.components.job_card import (
    JOB_STATE_LABELS,
    failure_html,
    format_job_title,
    progress_bar_html,
)
from webui.components.speech_model_installer import INSTALL_LABEL, INSTALL_TASK
from webui.components.templates import render

# Any: results of jobs are plain values.

PREPARE_TASK = "prepare"
TASKS = (PREPARE_TASK, "bring_voice", INSTALL_TASK)  # of Prepare Dataset
ORIGIN = "prepare"  # of the jobs that this part submits
MIN_FRACTION_FOR_ETA = 0.05  # a smaller part of the work is not representative
TRANSCRIBER_LABELS: Mapping[str, str] = {
    "auto": "Automatic",
    "given": "Existing transcripts only",
    "whisper": "Whisper",
    "faster-whisper": "faster-whisper",
    "transformers": "Transformers",
    "pocketsphinx": "PocketSphinx",
}


def prepare_jobs_html(jobs: Sequence[Job]) -> str:
    """Render the active jobs, oldest first, or else the latest one. jobs: newest first."""
    jobs = [job for job in jobs if job.task in TASKS]
    active = [job for job in jobs if not job.is_over]
    return render(
        "datasets/jobs.html",
        cards=[
            (job, format_job_title(job), get_job_body_html(job)) for job in active[::-1] or jobs[:1]
        ],
        format_result=_format_result,
        JOB_STATE_LABELS=JOB_STATE_LABELS,
        PREPARE_TASK=PREPARE_TASK,
        INSTALL_TASK=INSTALL_TASK,
    )


def get_job_body_html(job: Job) -> str:
    """Render the failure or the progress of a job; "" for any other state."""
    if job.failure is not None:
        return failure_html(job)
    if job.state == "running":
        return progress_bar_html(with_estimated_eta(job, time.time()))
    return ""


def with_estimated_eta(job: Job, now: float) -> Job:
    """Return the job with the time left, estimated from its progress if unknown."""
    progress, started = job.progress, job.started
    if progress.eta_s is not None or started is None or not progress.total:
        return job
    if progress.done < MIN_FRACTION_FOR_ETA * progress.total:
        return job
    left = (now - started) * (progress.total - progress.done) / progress.done
    return replace(job, progress=replace(progress, eta_s=left))


def _format_result(result: Mapping[str, Any]) -> str:
    kept, dropped = int(result.get("kept", 0)), int(result.get("dropped", 0))
    parts = [f"Kept: {format_count(kept, 'clip')}, {format_clock(float(result.get('kept_s', 0)))}."]
    if dropped:
        parts.append(f"Dropped: {format_count(dropped, 'clip')}; reasons are listed below.")
    if result.get("failed"):
        parts.append(f"{format_count(int(result['failed']), 'recording')} could not be used.")
    return " ".join([*parts, str(result.get("split", ""))]).strip()


def prepare_plan_html(plan: PreparePlan, existing: DatasetInfo | None) -> str:
    """Render what a request comes to. existing: the dataset of that name."""
    parts = [f"{format_count(plan.files, 'recording')}, {format_duration(plan.seconds)} of audio."]
    if plan.given == plan.files:
        parts.append("All have transcripts.")
    elif plan.given:
        parts.append(f"{plan.given:,} have transcripts.")
    if plan.transcriber:
        label = TRANSCRIBER_LABELS.get(plan.transcriber, plan.transcriber)
        rest = "The others are transcribed" if plan.given else "Transcribed"
        parts.append(f"{rest} with {label}.")
    return render(
        "datasets/plan.html",
        summary=" ".join(parts),
        existing=existing,
        remarks=(*plan.remarks, *plan.left_out),
    )


def table_previews_html(previews: Sequence[TablePreview]) -> str:
    """Render the first rows of lists of transcripts, with the use of each column above it."""
    return render("datasets/table_previews.html", previews=previews)


def transcribers_html(studio: Studio) -> str:
    """Render what each transcriber is, and how to install those that are missing."""
    return render(
        "datasets/transcribers.html",
        transcribers=list_transcribers(studio.layout),
        TRANSCRIBER_LABELS=TRANSCRIBER_LABELS,
        INSTALL_LABEL=INSTALL_LABEL,
    )

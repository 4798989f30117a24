"""The jobs of the Utilities tab as HTML."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from core.error_classifier import get_error_info
from core.paths import ProjectPaths
from jobs.models import Job
from webui.components.file_links import get_file_url
from webui.components.job_card import JOB_STATE_LABELS, format_progress
from webui.components.pictures import get_picture_uri
from webui.components.templates import render

TASKS = (
    "check_clip", "check_voice", "clean_clip", "apply_effects", "convert_clip", "judge_clip",
    "merge_models", "bring_voice", "compare_speakers", "find_speakers", "map_speakers",
    "use_toolbox", "batch", "keep_blend", "design_voice", "preview_voice_effects",
)  # fmt: skip
"""The tasks of this tab, which its Stop button stops."""
PREVIEW_TASK = "speak"  # a job of this task is of this tab only where it names its origin
MAX_LISTED = 50
ORIGIN = "utilities"  # of the jobs that this tab submits


def tool_job_html(job: Job, layout: ProjectPaths) -> Markup:
    """Render a job: its progress, its failure or its result."""
    advice = ""
    if job.failure is not None and job.failure.cause != "refused":
        advice = get_error_info(job.failure.cause).what_to_do
    return render(
        "tool_job.html",
        job=job,
        badge=JOB_STATE_LABELS[job.state],
        advice=advice,
        progress=format_progress(job) if job.state == "running" else "",
        url=partial(get_file_url, layout),
        results=layout.results,
        picture=get_picture_uri,
        uploads=layout.state / "uploads",
        MAX_LISTED=MAX_LISTED,
    )

"""Actions of the buttons in the job panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
from studio.synthesis.line_edits import EDIT_TITLES, EditLinesRequest, LineEdit, plan_line_edit
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath, find_clip_path, get_clip_name
from studio.synthesis.retake import RegenerateLineRequest, RejoinClipRequest
from webui.components.line_editor import parse_grid
from webui.components.live_panel import PanelAction
from webui.generate.projects import PROJECT_PREFIX, make_project_job
from webui.generate.voice_recorder import ORIGIN


@dataclass(frozen=True, kw_only=True)
class JobActionResult:
    """A note, and what an action puts into the form: values by name, or the settings of a take."""

    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # Any: each control has its own type
    record: TakeMetadata | None = None


def run_job_action(studio: Studio, action: PanelAction) -> JobActionResult:
    """Run the action of a button on its job. Raises AppError."""
    handler = JOB_ACTIONS.get(action.name)
    if handler is None:
        raise AppError("Unknown action. Reload the page.")
    id = action.text("job")
    is_project = id.startswith(PROJECT_PREFIX)
    ref = id.removeprefix(PROJECT_PREFIX)
    job = make_project_job(studio.layout, ref) if is_project else studio.job(id)
    return handler(studio, job, action) or JobActionResult()


def _cancel(studio: Studio, job: Job, action: PanelAction) -> None:
    studio.cancel(job.id)


def _resume(studio: Studio, job: Job, action: PanelAction) -> None:
    studio.resume(job.id)


def _reuse_seed(studio: Studio, job: Job, action: PanelAction) -> JobActionResult:
    seed = str(_get_result(job)["seed"])
    return JobActionResult(message=f"The next run uses seed {seed}.", values={"seed": seed})


def _copy_settings(studio: Studio, job: Job, action: PanelAction) -> JobActionResult:
    record = read_metadata(Path(str(_get_result(job)["path"])))
    return JobActionResult(message="Settings loaded from clip.", record=record)


def _toggle_star(studio: Studio, job: Job, action: PanelAction) -> None:
    clip = _get_clip_name(studio, job)
    is_starred = clip in read_stars(studio.layout.stars)
    history = History.open(studio.layout)
    history.scan(ProgressReporter())  # it may not have indexed the clip yet
    history.set_starred([clip], not is_starred)


def _regenerate_line(studio: Studio, job: Job, action: PanelAction) -> None:
    clip, line = _get_clip_name(studio, job), _parse_number(action.text("value"), "line")
    seed, text = action.text("seed").strip(), " ".join(action.text("text").split())
    request = RegenerateLineRequest(
        clip=clip,
        line=line,
        seed=_parse_number(seed, "seed") if seed else None,
        text=text or None,
        voice=action.text("voice").strip() or None,
        takes=_parse_number(action.text("takes").strip() or "1", "take"),
    )
    studio.submit(request, title=f"Regenerate line {line + 1}: {text or clip}", origin=ORIGIN)


def _compare_settings(studio: Studio, job: Job, action: PanelAction) -> None:
    typed: dict[str, str] = {}
    for axis in ("1", "2"):
        if name := action.text(f"setting{axis}"):
            if name in typed:
                raise AppError("Choose two different settings.")
            typed[name] = action.text(f"values{axis}")
    if not typed:
        raise AppError("Choose one or two settings to compare.")
    clip, line = _get_clip_name(studio, job), _parse_number(action.text("line") or "1", "line")
    lines = read_line_takes(OutputPath(clip_path=find_clip_path(studio.layout, clip)))
    engine = lines.request.engine if lines else str(job.request.get("engine", ""))
    request = RegenerateLineRequest(clip=clip, line=line - 1, grid=parse_grid(engine, typed))
    studio.submit(request, title=f"Compare settings of line {line}", origin=ORIGIN)


def _copy_take_settings(studio: Studio, job: Job, action: PanelAction) -> JobActionResult:
    line, _, file = action.text("value").partition("/")
    path = find_clip_path(studio.layout, _get_clip_name(studio, job))
    lines = read_line_takes(OutputPath(clip_path=path))
    if lines is None:
        raise AppError("The folder with the takes of this clip is missing.")
    take = lines.line(_parse_number(line, "line")).take(file)
    record = replace(read_metadata(path), options=take.options, seed=take.seed)
    return JobActionResult(message="Settings loaded from take.", record=record)


def _edit_lines(studio: Studio, job: Job, action: PanelAction) -> None:
    clip, (line, _, target) = _get_clip_name(studio, job), action.text("value").partition("/")
    lines = read_line_takes(OutputPath(clip_path=find_clip_path(studio.layout, clip)))
    if lines is None:
        raise AppError("This clip has one line. Write a longer text to edit its lines.")
    edit = LineEdit(
        kind=action.name,
        line=_parse_number(line, "line"),
        target=_parse_number(target, "line") if target else 0,
        text=action.text("text"),
        caret=_parse_number(action.text("caret") or "0", "text position"),
    )
    request = EditLinesRequest(clip=clip, lines=plan_line_edit(lines, edit))
    studio.submit(request, title=f"{EDIT_TITLES[edit.kind]} {edit.line + 1}", origin=ORIGIN)


def _use_take(studio: Studio, job: Job, action: PanelAction) -> None:
    line, _, take = action.text("value").partition("/")
    request = RejoinClipRequest(clip=_get_clip_name(studio, job), takes={line: take})
    title = f"Use another take of line {_parse_number(line, 'line') + 1}"
    studio.submit(request, title=title, origin=ORIGIN)


def _get_clip_name(studio: Studio, job: Job) -> str:
    name = get_clip_name(studio.layout, Path(str(_get_result(job)["path"])))
    find_clip_path(studio.layout, name)
    return name


def _parse_number(word: str, kind: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) <= 19):
        raise AppError(f"{quote_for_message(word)} is not a {kind} number. Use digits only.")
    return int(word)


def _get_result(job: Job) -> Mapping[str, Any]:
    if job.result is None:
        raise AppError("This job has no result yet. Wait until it is done.")
    return job.result


JOB_ACTIONS: Mapping[str, Callable[[Studio, Job, PanelAction], JobActionResult | None]] = (
    MappingProxyType(
        {
            "cancel": _cancel,
            "resume": _resume,
            "seed": _reuse_seed,
            "settings": _copy_settings,
            "star": _toggle_star,
            "redo": _regenerate_line,
            "use": _use_take,
            "grid": _compare_settings,
            "take-settings": _copy_take_settings,
            **dict.fromkeys(EDIT_TITLES, _edit_lines),
        }
    )
)

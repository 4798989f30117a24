"""Views of the History tab: the clip list, one clip, two clips to compare, or the trash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from core.background import BackgroundTask
from core.error_classifier import format_user_message
from core.errors import AppError
from core.formatting import format_clock, format_count, format_duration, format_timestamp
from core.options import list_option_fields
from core.progress import Cancelled
from engines.registry import get_options_class
from studio.history.query import PAGE_SIZE, ClipFile, ClipSummary, HistoryPage, Search
from studio.history.service import History
from studio.schemas.speech import OutputOptions, get_presets
from studio.schemas.take_metadata import TakeMetadata, to_json
from studio.synthesis.line_takes import SavedTake
from studio.synthesis.output_paths import OutputPath
from studio.voices.effects import format_voice_effects
from webui.components.file_links import get_file_url, get_words_url
from webui.components.messages import error_html, note_html
from webui.components.option_controls import format_preset_label
from webui.components.templates import render

# Any: values of a template.

MAX_TRASH_ROWS = 50  # deletions listed; older ones appear as these are restored
SELECTION_BUTTONS = (  # (action, label, number of selected clips that enables it)
    ("compare", "Compare two", 2),
    ("star", "Star", 1),
    ("unstar", "Remove star", 1),
    ("export", "Export as zip", 1),
    ("delete", "Delete", 1),
    ("clear", "Clear selection", 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryViewState:
    """The state of one browser's History tab.

    page: from 0;  open_refs: the clip in the panel, or two to compare;  is_confirming: emptying
    the trash waits for confirmation;  message_html: result of the last action;  bulk_selection:
    all clips of a search, selected at once;  search: the last valid one;  copied: settings to load
    into the Generate form.
    """

    page: int = 0
    open_refs: tuple[str, ...] = ()
    is_trash_open: bool = False
    is_confirming: bool = False
    message_html: str = ""
    bulk_selection: tuple[str, ...] = ()
    search: Search = field(default_factory=Search)
    background_task: BackgroundTask[Callable[[HistoryViewState], HistoryViewState]] | None = None
    copied: TakeMetadata | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineVersions:
    """A line of a clip and its takes, each (what it came from, path below the results, in use)."""

    text: str
    takes: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipDetails:
    """A clip with its files, each (label, file). record: None if it has no settings.

    has_words: it is known when words are spoken.
    """

    row: ClipSummary
    record: TakeMetadata | None
    candidates: Sequence[tuple[str, ClipFile]]
    lines: Sequence[tuple[str, ClipFile]]
    line_count: int
    versions: Sequence[LineVersions] = ()
    has_words: bool = False


def history_html(
    history: History,
    view: HistoryViewState,
    search: Search,
    listing: HistoryPage | None,
    *,
    can_open_folder: bool,
    likeness: Markup | str = "",
) -> str:
    """Render everything below the filters. listing: None if the index could not be read.

    likeness: a note on clips that are not compared with their voice yet.
    """

    def file_url(path: str) -> str:
        return get_file_url(history.layout, str(history.layout.results / path))

    return render(
        "history/page.html",
        view=view,
        listing=listing,
        is_filtered=search != Search(order=search.order),
        scan=history.scan_status,
        selected=frozenset(view.bulk_selection),
        message=_message_html(view),
        can_open_folder=can_open_folder,
        likeness_note=likeness,
        file_url=file_url,
        words_url=lambda path: get_words_url(history.layout, history.layout.results / path),
        describe_settings=describe_settings,
        format_settings=format_settings,
        format_size=_format_size,
        get_facts=_get_facts,
        to_json=lambda record: to_json(replace(record, heard="", word_times=())),
        PAGE_SIZE=PAGE_SIZE,
        SELECTION_BUTTONS=SELECTION_BUTTONS,
        **_build_panel(history, view),
    )


def apply_finished_task(view: HistoryViewState) -> HistoryViewState:
    """Apply the result of a background task that has finished, if there is one."""
    task = view.background_task
    if task is None or not task.is_over:
        return view
    view, problem = replace(view, background_task=None), task.problem
    if problem is None:
        return task.result()(view)
    if isinstance(problem, Cancelled):
        return replace(view, message_html=note_html("Stopped."))
    return replace(view, message_html=error_html(AppError(format_user_message(problem))))


def likeness_html(unmeasured: int, progress: str) -> Markup:
    """Render how many clips are not compared with their voice yet. progress: of the job, or ""."""
    if not unmeasured:
        return Markup("")
    return render("history/likeness.html", unmeasured=unmeasured, progress=progress)


def message_html(text: str, *, act: str = "", ref: str = "", zip_name: str = "") -> str:
    """Render a message with a button for `act` on `ref`, or a link to an exported zip file."""
    return render("history/message.html", text=text, act=act, ref=ref, zip_name=zip_name)


def _message_html(view: HistoryViewState) -> str:
    task = view.background_task
    if task is None:
        return view.message_html
    done, total = task.progress
    if not total:
        return note_html(f"{task.label} …")
    return message_html(f"{task.label}: {done:,} of {total:,}", act="stop")


def _build_panel(history: History, view: HistoryViewState) -> dict[str, Any]:
    """Return the template of the panel ("" for none) and its values."""
    try:
        if view.is_trash_open:
            size = history.compute_trash_size() if view.is_confirming else 0
            deletions = history.list_trash()[:MAX_TRASH_ROWS]
            return {"panel": "trash", "deletions": deletions, "trash_size": size}
        clips = [_load_clip_details(history, ref) for ref in view.open_refs]
    except AppError as cause:
        return {"panel": "error", "error": error_html(cause)}
    if len(clips) == 2:
        return {"panel": "comparison", "clips": clips, "differences": _get_differences(clips)}
    return {"panel": "clip", "clip": clips[0]} if clips else {"panel": ""}


def _load_clip_details(history: History, ref: str) -> ClipDetails:
    row = history.get_clip(ref)
    files = history.list_files(ref)
    candidates = [(f"Take {file.candidate}", file) for file in files if file.line == 0]
    lines = {line: list(takes) for line, takes in groupby(files, lambda file: file.line) if line}
    return ClipDetails(
        row=row,
        record=None if row.foreign else history.read_metadata(row.path),
        candidates=candidates,
        lines=[
            (f"Line {line}, take {file.candidate}" if len(takes) > 1 else f"Line {line}", file)
            for line, takes in lines.items()
            for file in takes
            if len(lines) > 1 or not candidates
        ],
        line_count=len(lines),
        versions=_list_versions(history, ref),
        has_words=_has_words(history, ref),
    )


def _has_words(history: History, ref: str) -> bool:
    try:
        return any(line.words for line in history.list_words(ref))
    except AppError:  # the clip does not say what is spoken
        return False


def _list_versions(history: History, ref: str) -> list[LineVersions]:
    """Return the lines of a clip with all takes; none for a clip that is as it was generated."""
    found = history.read_line_takes(ref)
    if found is None or not any(len(line.takes) > 1 for line in found.lines):
        return []
    folder = OutputPath(clip_path=Path(ref)).lines_folder.as_posix()
    return [
        LineVersions(
            text=line.heard,
            takes=[
                (_describe_origin(take, number), f"{folder}/{take.file}", take.file == line.chosen)
                for number, take in enumerate(line.takes, start=1)
            ],
        )
        for line in found.lines
    ]


def _describe_origin(take: SavedTake, number: int) -> str:
    kind = f"candidate {take.candidate}" if take.candidate > 1 else "first take"
    parts = [f"Take {number}: {'regenerated' if take.anew else kind}, seed {take.seed}"]
    if take.score is not None:
        parts.append(f"score {take.score:.3g}")
    return ", ".join([*parts, f"{take.seconds:.1f} s"])


def _get_differences(clips: Sequence[ClipDetails]) -> list[tuple[str, str, str]]:
    a, b = (format_settings(clip.record) if clip.record is not None else {} for clip in clips)
    return [
        (name, a.get(name, "—"), b.get(name, "—"))
        for name in {**a, **b}
        if a.get(name) != b.get(name)
    ]


def format_settings(record: TakeMetadata) -> dict[str, str]:
    """Return the settings of a take as readable text by name; empty ones are left out."""
    values = {
        "text": record.text,
        "voice": record.voice,
        "engine": record.engine,
        "model": record.bundle,
        "weights": record.weights_id,
        "seed": str(record.seed),
        **_format_options(record.options, ("seed",)),
        **_format_options(record.delivery, ()),
        "created": record.created,
        "length": f"{record.duration_s:.2f} s",
        "device": ", ".join(filter(None, (record.machine.device, record.machine.torch))),
        "time (s)": ", ".join(f"{name} {took:g}" for name, took in record.took.items()),
        "warnings": " ".join(record.warnings),
        "take check": " ".join(record.checks),
        "effects": "; ".join(
            ", ".join(f"{k} {v}" for k, v in one.items()) for one in record.effects
        ),
        "voice effects": "; ".join(format_voice_effects(record.voice_effects)),
        "made from": record.source,
        "pronunciations": ", ".join(f"{word} = {to}" for word, to in record.pronunciations.items()),
        "score": f"{record.score:.4g}" if record.score is not None else "",
    }
    return {name: value for name, value in values.items() if value}


def describe_settings(record: TakeMetadata) -> str:
    """Return the settings of a take in a few sentences; options only where they differ."""
    cls = _find_options_class(record.engine)
    preset = _find_preset_name(cls, record.options)
    given = {name: value for name, value in record.options.items() if name != "seed"}
    of_preset = get_presets(cls).get(preset, {}) if cls is not None else {}
    changed = [
        f"{name.replace('_', ' ')} {text}"
        for name, text in _format_options(
            {**_get_changed(cls, given, of_preset), **_get_changed(OutputOptions, record.delivery)},
            ("format",),
        ).items()
    ]
    told = [f"{record.voice or 'No voice'}, spoken by {record.bundle} with seed {record.seed}."]
    if preset:
        told.append(f"Preset {format_preset_label(preset)}.")
    if changed:
        told.append(f"Changed: {', '.join(changed)}.")
    took = sum(record.took.values())
    if took:
        where = f" on {record.machine.device}" if record.machine.device else ""
        told.append(f"Generated in {format_duration(took)}{where}.")
    return " ".join(told)


def _find_options_class(engine: str) -> type[Any] | None:
    try:
        return get_options_class(engine)
    except ValueError:  # an engine of another version
        return None


def _find_preset_name(cls: type[Any] | None, options: Mapping[str, Any]) -> str:
    presets = get_presets(cls) if cls is not None else {}
    fits = (
        name
        for name, preset in presets.items()
        if all(options.get(option) == value for option, value in preset.items())
    )
    return next(fits, "")


def _get_changed(
    cls: type[Any] | None, values: Mapping[str, Any], preset: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the values that are neither the default of their option nor of the preset."""
    if cls is None:
        return dict(values)
    usual = {field.name: field.default for field in list_option_fields(cls)} | dict(preset or {})
    return {name: value for name, value in values.items() if name in usual and value != usual[name]}


def _format_options(values: Mapping[str, object], without: Sequence[str]) -> dict[str, str]:
    return {
        name.replace("_", " "): {True: "on", False: "off"}[value]
        if isinstance(value, bool)
        else str(value)
        for name, value in values.items()
        if name not in without and value is not None
    }


def _get_facts(row: ClipSummary) -> Iterator[str]:
    yield row.speaker or row.voice or "no voice"
    if row.seconds is not None:
        yield format_clock(row.seconds)
    yield format_timestamp(row.created)
    if row.score is not None:
        yield f"score {row.score:.3g}"
    if row.likeness is not None:
        yield f"similarity {row.likeness:.2f}"
    if row.candidates > 1:
        yield format_count(row.candidates, "candidate")
    if row.lines > 1:
        yield format_count(row.lines, "line")
    if not row.whole:
        yield "incomplete"
    if row.foreign:
        yield "no settings"


def _format_size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"

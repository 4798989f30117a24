"""testudo prepare and testudo datasets: create datasets from recordings, review and edit them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer

from cli.options import JsonFlag, add_command, create_app
from cli.output import create_reporter, emit, print_line, print_table
from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import parse_path
from core.progress import ProgressReporter
from studio.app.studio import Studio
from studio.datasets.prepare_request import AUTO, TRANSCRIBERS
from studio.datasets.service import (
    CLIP_REASONS,
    ClipRow,
    DatasetInfo,
    Datasets,
    PrepareOptions,
    PreparePlan,
    PrepareRequest,
    format_dataset_report,
    plan_preparation,
    preview_lists,
)

# Any: of each option its own type.

DEFAULT_WORST_COUNT = 10
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Dataset.")]
ColumnsOption = Annotated[
    str,
    typer.Option(
        metavar="ROLE=COLUMN,…",
        help="Columns of a list of transcripts by number or name, where they are not clear: "
        "audio=1,text=3.",
    ),
]
ClipArgument = Annotated[str, typer.Argument(metavar="CLIP", help="Clip, as listed by `show`.")]
ClipsArgument = Annotated[
    list[str], typer.Argument(metavar="CLIP...", help="Clips, as listed by `show`.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareFlags:
    """The arguments of `prepare` beside the options."""

    source: Annotated[
        str,
        typer.Argument(metavar="VOICE_OR_FOLDER", help="Voice, or path of a folder."),
    ]
    name: Annotated[str, typer.Option(help="Dataset; default the name of the source.")] = ""
    transcriber: Annotated[
        str,
        typer.Option(
            metavar="{" + ",".join(TRANSCRIBERS) + "}",
            help="Transcriber; auto: given text, else Whisper if installed, else PocketSphinx.",
        ),
    ] = AUTO
    model: Annotated[str, typer.Option(help="Whisper model: base, small.en, … or a .pt file.")] = ""
    language: Annotated[str, typer.Option(help="Language code such as en; '' for any.")] = "en"
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, …")] = "auto"
    fetch: Annotated[bool, typer.Option("--fetch", help="Download a missing model.")] = False
    anew: Annotated[bool, typer.Option("--anew", help="Re-process everything.")] = False
    columns: ColumnsOption = ""


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `prepare` or `datasets` to the program."""
    if name == "prepare":
        add_command(app, name, help, {"options": list_option_fields(PrepareOptions)})(run_prepare)
        return
    group = create_app(help)
    group.callback(invoke_without_command=True)(run_list)
    for action, help_text, function in (
        ("show", "show the summary and the worst clips of a dataset", run_show),
        ("edit", "correct the text of a clip", run_edit),
        ("drop", "leave clips out of the training", _make_change(Datasets.drop)),
        ("restore", "use dropped clips again", _make_change(Datasets.restore)),
        ("accept", "accept clips", _make_change(Datasets.accept)),
        ("merge", "join a clip with the next one", run_merge),
        ("split", "split a clip in two", run_split),
        ("delete", "move a dataset and its training runs to the trash", run_delete),
        ("undelete", "restore a deleted dataset", run_restore),
        ("trash", "list the trash", run_list_trash),
    ):
        add_command(group, action, help_text)(function)
    add_command(group, "bring-back", "former name", hidden=True)(run_restore)
    app.add_typer(group, name=name, help=help)


def run_prepare(flags: PrepareFlags, options: Mapping[str, Any], as_json: JsonFlag = False) -> int:
    studio = Studio.open()
    request = _build_request(studio, flags, options)
    report = create_reporter(as_json)
    note_plan(studio, request, report)
    task = import_module("studio.workers.datasets.prepare_dataset")
    made = task.prepare_from_request(studio, request, report)
    if as_json:
        return emit(made, "", True)
    print_line(format_dataset_report(Datasets(studio.layout).report(made.name)))
    print_line(f"\n{made.split}")
    folder = studio.layout.dataset(made.name)
    print_line(f"{folder}. Review it: testudo datasets show {made.name}")
    return 0


def note_plan(studio: Studio, request: PrepareRequest, report: ProgressReporter) -> PreparePlan:
    """Show the columns of lists of transcripts and the remarks of a plan.

    Raises AppError for a request that would fail, with the first rows of lists that are not clear.
    """
    try:
        plan = plan_preparation(studio.layout, request)
    except AppError as error:
        shown = [one for one in preview_lists(studio.layout, request) if one.question]
        rows = [line for one in shown for line in one.format_lines()]
        raise AppError("\n".join([str(error), *rows]), code=error.code) from error
    for line in (line for one in plan.lists for line in one.format_lines()):
        report.note(line)
    for remark in plan.remarks:
        report.note(remark)
    return plan


def run_list(context: typer.Context, as_json: JsonFlag = False) -> int:
    if context.invoked_subcommand:
        return 0
    found = Datasets(Studio.open().layout).list()
    if as_json:
        return emit(list(found), "", True)
    if not found:
        print_line("There are no datasets yet. `testudo prepare VOICE` creates one.")
    print_table(["dataset", "contents"], [(one.name, _summarize(one)) for one in found])
    return 0


def run_show(
    name: NameArgument,
    worst: Annotated[int, typer.Option(metavar="N", help="Clips to list.")] = DEFAULT_WORST_COUNT,
    only: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="all, kept, dropped, edited, doubtful, or a reason such as noisy",
        ),
    ] = "all",
    as_json: JsonFlag = False,
) -> int:
    datasets = Datasets(Studio.open().layout)
    report = datasets.report(name)
    rows = datasets.find(name, show=only, per_page=max(1, worst)).rows
    lines = [format_dataset_report(report)]
    if rows and worst > 0:
        lines += [f"\nClips to review first ({only})", *_format_clips(rows)]
    return emit({"report": report, "worst": list(rows)}, lines, as_json)


def run_edit(
    name: NameArgument,
    clip: ClipArgument,
    text: Annotated[str, typer.Argument(help="The correct text.")],
    as_json: JsonFlag = False,
) -> int:
    datasets = Datasets(Studio.open().layout)
    return _emit_changed(datasets, name, datasets.edit_text(name, clip, text), as_json)


def run_merge(name: NameArgument, clip: ClipArgument, as_json: JsonFlag = False) -> int:
    datasets = Datasets(Studio.open().layout)
    return _emit_changed(datasets, name, datasets.merge(name, clip), as_json)


def run_split(
    name: NameArgument,
    clip: ClipArgument,
    at: Annotated[float | None, typer.Option(metavar="S", help="Second to cut at.")] = None,
    after: Annotated[
        int | None, typer.Option(metavar="N", help="Cut after this many words.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    datasets = Datasets(Studio.open().layout)
    return _emit_changed(datasets, name, datasets.split(name, clip, at, after), as_json)


def run_delete(name: NameArgument, as_json: JsonFlag = False) -> int:
    deleted = Datasets(Studio.open().layout).delete(name)
    text = (
        f"{deleted.name} moved to the trash. Restore with: testudo datasets undelete {deleted.id}"
    )
    return emit(deleted, text, as_json)


def run_restore(
    deletion: Annotated[
        str | None, typer.Argument(metavar="ID", help="Deletion id; without it, list the trash.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    if not deletion:
        return run_list_trash(as_json)
    name = Datasets(Studio.open().layout).restore_deleted(deletion)
    return emit({"name": name}, f"{name} restored.", as_json)


def run_list_trash(as_json: JsonFlag = False) -> int:
    found = Datasets(Studio.open().layout).list_deleted()
    lines = [f"{one.id}  {one.name}" for one in found]
    return emit(found, lines or "The trash is empty.", as_json)


def _make_change(
    change: Callable[[Datasets, str, list[str]], Sequence[ClipRow]],
) -> Callable[..., int]:
    def run(name: NameArgument, clips: ClipsArgument, as_json: JsonFlag = False) -> int:
        datasets = Datasets(Studio.open().layout)
        return _emit_changed(datasets, name, change(datasets, name, clips), as_json)

    return run


def _build_request(
    studio: Studio, flags: PrepareFlags, options: Mapping[str, Any]
) -> PrepareRequest:
    is_path = any(sign in flags.source for sign in "/\\~") or flags.source in (".", "..")
    is_folder = is_path or not (studio.layout.voices / flags.source).is_dir()
    as_folder = is_folder and (is_path or parse_path(flags.source).is_dir())
    with reraise_as_app_error(ValueError):
        return PrepareRequest(
            name=flags.name,
            voice="" if as_folder else flags.source,
            folder=str(parse_path(flags.source).resolve()) if as_folder else "",
            transcriber=flags.transcriber,
            model=flags.model,
            language=flags.language,
            device=flags.device,
            fetch=flags.fetch,
            anew=flags.anew,
            columns=flags.columns,
            options=PrepareOptions(**options),
        )


def _summarize(one: DatasetInfo) -> str:
    state = "" if one.state == "ready" else f" ({one.state})"
    of = f"{one.kept} of {one.clips} clips" if one.clips else "no clips"
    by = f", text by {one.transcriber}" if one.transcriber else ""
    return f"{one.kept_s / 60:.1f} minutes in {of}{by}{state}"


def _emit_changed(datasets: Datasets, name: str, rows: Sequence[ClipRow], as_json: bool) -> int:
    emit(list(rows), _format_clips(rows), as_json)
    if datasets.has_active_training(name):
        create_reporter(as_json).note(
            "A training run uses this dataset; the change takes effect at the next run."
        )
    return 0


def _format_clips(rows: Sequence[ClipRow]) -> Iterator[str]:
    for row in rows:
        why = f": {CLIP_REASONS[row.reason]}" if row.reason else ""
        yield f"{row.id}  {row.seconds:.1f} s  {'kept' if row.kept else 'dropped'}{why}"
        yield f"    {row.text or '(no text)'}"

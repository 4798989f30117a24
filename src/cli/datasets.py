"""testudo prepare and testudo datasets: recordings made into datasets, and these looked through."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cli.options import Parser, add_option_flags, collect_given_options
from cli.output import create_reporter, print_json, print_line
from core.errors import reraise_as_app_error
from core.options import list_option_fields
from studio.app.studio import Studio
from studio.datasets.prepare_request import AUTO, TRANSCRIBERS
from studio.datasets.service import (
    CLIP_REASONS,
    ClipRow,
    DatasetInfo,
    Datasets,
    PrepareOptions,
    PrepareRequest,
    format_dataset_report,
    plan_preparation,
)

# Any: of each option its own type.

DEFAULT_WORST_COUNT = 10


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add both commands to the program."""
    _add_prepare(commands)
    parser = commands.add_parser("datasets", help="list the datasets, look through one, mend it")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    show = _add_action(actions, "show", "say what a dataset is worth, and list its worst clips")
    show.add_argument(
        "--worst", type=int, default=DEFAULT_WORST_COUNT, metavar="N", help="clips to list"
    )
    show.add_argument("--only", default="all", metavar="WHICH", help="all, kept, dropped, edited, "
                      "doubtful, or a reason such as noisy")  # fmt: skip
    show.set_defaults(run=run_show)
    edit = _add_action(actions, "edit", "give a clip the text that is really said", "CLIP")
    edit.add_argument("text", metavar="TEXT", help="what is said")
    edit.set_defaults(run=run_edit)
    told = {
        "drop": "leave clips out of the training",
        "restore": "take dropped clips back",
        "accept": "say that clips are right as they are",
    }
    for name, help in told.items():
        change = _add_action(actions, name, help)
        change.add_argument("clips", metavar="CLIP", nargs="+", help="as `show` names them")
        change.set_defaults(run=run_change, change=name)
    _add_action(actions, "merge", "join a clip with the next", "CLIP").set_defaults(run=run_merge)
    split = _add_action(actions, "split", "cut a clip in two", "CLIP")
    split.add_argument("--at", type=float, metavar="S", help="near this second of the clip")
    split.add_argument("--after", type=int, metavar="N", help="after so many words")
    split.set_defaults(run=run_split)
    delete = _add_action(actions, "delete", "move a dataset with its trainings into the bin")
    delete.set_defaults(run=run_delete)
    back = actions.add_parser("bring-back", help="bring a deleted dataset back")
    back.add_argument("name", metavar="ID", nargs="?", help="of the deletion; none lists the bin")
    back.set_defaults(run=run_restore)


def run_prepare(parsed: argparse.Namespace) -> int:
    """Make a dataset."""
    studio = Studio.open()
    request = _build_request(studio, parsed)
    report = create_reporter(parsed.json)
    for remark in plan_preparation(studio.layout, request).remarks:
        report.note(remark)
    task = import_module("studio.workers.prepare_dataset")
    made = task.prepare_from_request(studio.layout, studio.settings, request, report)
    datasets = Datasets(studio.layout)
    if parsed.json:
        print_json(made)
        return 0
    print_line(format_dataset_report(datasets.report(made.name)))
    print_line()
    print_line(made.split)
    print_line(
        f"{studio.layout.dataset(made.name)}. Look through it: testudo datasets show {made.name}"
    )
    return 0


def run_list(parsed: argparse.Namespace) -> int:
    """List the datasets."""
    studio = Studio.open()
    found = Datasets(studio.layout).list()
    if parsed.json:
        print_json(list(found))
        return 0
    if not found:
        print_line(
            "There are no datasets yet. `testudo prepare VOICE` makes one of a voice's clips."
        )
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        print_line(f"{one.name:{width}}  {_format_dataset_line(one)}")
    return 0


def run_show(parsed: argparse.Namespace) -> int:
    """Tell of one dataset."""
    datasets = Datasets(Studio.open().layout)
    report = datasets.report(parsed.name)
    rows = datasets.find(parsed.name, show=parsed.only, per_page=max(1, parsed.worst)).rows
    if parsed.json:
        print_json({"report": report, "worst": list(rows)})
        return 0
    print_line(format_dataset_report(report))
    if rows and parsed.worst > 0:
        print_line(f"\nThe clips that want looking at most ({parsed.only})")
        _print_clips(rows)
    return 0


def run_edit(parsed: argparse.Namespace) -> int:
    """Change the text of a clip."""
    datasets = Datasets(Studio.open().layout)
    return _print_changed_clips(
        datasets, parsed, datasets.edit_text(parsed.name, parsed.clip, parsed.text)
    )


def run_change(parsed: argparse.Namespace) -> int:
    """Drop, restore or accept clips."""
    datasets = Datasets(Studio.open().layout)
    change = {"drop": datasets.drop, "restore": datasets.restore, "accept": datasets.accept}
    return _print_changed_clips(datasets, parsed, change[parsed.change](parsed.name, parsed.clips))


def run_merge(parsed: argparse.Namespace) -> int:
    """Join a clip with the next."""
    datasets = Datasets(Studio.open().layout)
    return _print_changed_clips(datasets, parsed, datasets.merge(parsed.name, parsed.clip))


def run_split(parsed: argparse.Namespace) -> int:
    """Cut a clip in two."""
    datasets = Datasets(Studio.open().layout)
    parts = datasets.split(parsed.name, parsed.clip, parsed.at, parsed.after)
    return _print_changed_clips(datasets, parsed, parts)


def run_delete(parsed: argparse.Namespace) -> int:
    """Delete a dataset."""
    deleted = Datasets(Studio.open().layout).delete(parsed.name)
    if parsed.json:
        print_json(deleted)
    else:
        print_line(f"{deleted.name} is in the bin. testudo datasets bring-back {deleted.id}")
    return 0


def run_restore(parsed: argparse.Namespace) -> int:
    """Bring a dataset back, or list what could be."""
    datasets = Datasets(Studio.open().layout)
    if parsed.name:
        print_line(f"{datasets.restore_deleted(parsed.name)} is back.")
        return 0
    for one in datasets.list_deleted():
        print_line(f"{one.id}  {one.name}")
    return 0


def _add_prepare(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser("prepare", help="make a dataset to finetune on, of a voice's "
                                 "clips or any folder of recordings")  # fmt: skip
    parser.add_argument("source", metavar="VOICE_OR_FOLDER", help="a voice, or the path of a "
                        "folder of recordings")  # fmt: skip
    parser.add_argument("--name", default="", help="of the dataset (that of the voice or folder)")
    parser.add_argument("--transcriber", default=AUTO, metavar="{" + ",".join(TRANSCRIBERS) + "}",
                        help="who says what is said (default auto: given text, else Whisper "
                        "where a model is here, else PocketSphinx)")  # fmt: skip
    parser.add_argument("--model", default="", help="a Whisper model: base, small.en, … or a .pt")
    parser.add_argument("--language", default="en", help="a code such as en; '' for any")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, …")
    parser.add_argument("--fetch", action="store_true", help="fetch the model if it is not here")
    parser.add_argument("--anew", action="store_true", help="also what is done already")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_option_flags(parser, "options", list_option_fields(PrepareOptions))
    parser.set_defaults(run=run_prepare)


def _add_action(
    actions: argparse._SubParsersAction[Parser], name: str, help: str, clip: str = ""
) -> Parser:
    parser = actions.add_parser(name, help=help)
    parser.add_argument("name", metavar="NAME", help="the dataset")
    if clip:
        parser.add_argument("clip", metavar=clip, help="as `show` names it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _build_request(studio: Studio, parsed: argparse.Namespace) -> PrepareRequest:
    turned: Mapping[str, Any] = collect_given_options(parsed, list_option_fields(PrepareOptions))
    is_path = any(sign in parsed.source for sign in "/\\~") or parsed.source in (".", "..")
    is_folder = is_path or not (studio.layout.voices / parsed.source).is_dir()
    as_folder = is_folder and (is_path or Path(parsed.source).is_dir())
    with reraise_as_app_error(ValueError):
        return PrepareRequest(
            name=parsed.name,
            voice="" if as_folder else parsed.source,
            folder=str(Path(parsed.source).expanduser().resolve()) if as_folder else "",
            transcriber=parsed.transcriber,
            model=parsed.model,
            language=parsed.language,
            device=parsed.device,
            fetch=parsed.fetch,
            anew=parsed.anew,
            options=PrepareOptions(**turned),
        )


def _format_dataset_line(one: DatasetInfo) -> str:
    state = "" if one.state == "ready" else f" ({one.state})"
    of = f"{one.kept} of {one.clips} clips" if one.clips else "no clips"
    by = f", text by {one.transcriber}" if one.transcriber else ""
    return f"{one.kept_s / 60:.1f} minutes in {of}{by}{state}"


def _print_changed_clips(
    datasets: Datasets, parsed: argparse.Namespace, rows: Sequence[ClipRow]
) -> int:
    if parsed.json:
        print_json(list(rows))
    else:
        _print_clips(rows)
    if datasets.has_active_training(parsed.name):
        create_reporter(parsed.json).note(
            "A training runs on it; this counts from the next one on."
        )
    return 0


def _print_clips(rows: Sequence[ClipRow]) -> None:
    for row in rows:
        why = f": {CLIP_REASONS[row.reason]}" if row.reason else ""
        print_line(f"{row.id}  {row.seconds:.1f} s  {'kept' if row.kept else 'dropped'}{why}")
        print_line(f"    {row.text or '(no text)'}")

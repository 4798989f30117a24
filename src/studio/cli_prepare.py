"""testudo prepare and testudo datasets: recordings made into datasets, and these looked through."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from engines.knobs import knobs_of
from studio.cli_flags import Parser, add_knobs, given
from studio.cli_output import reporter, say, say_json
from studio.datasets import (
    REASONS,
    ClipRow,
    DatasetInfo,
    Datasets,
    PrepareOptions,
    PrepareRequest,
    check_prepare,
    report_text,
)
from studio.errors import refusing
from studio.studio import Studio
from training.transcribe.base import AUTO, TRANSCRIBERS

# Any: of each option its own type.

WORST = 10


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add both commands to the program."""
    _add_prepare(commands)
    parser = commands.add_parser("datasets", help="list the datasets, look through one, mend it")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    show = _action(actions, "show", "say what a dataset is worth, and list its worst clips")
    show.add_argument("--worst", type=int, default=WORST, metavar="N", help="clips to list")
    show.add_argument("--only", default="all", metavar="WHICH", help="all, kept, dropped, edited, "
                      "doubtful, or a reason such as noisy")  # fmt: skip
    show.set_defaults(run=run_show)
    edit = _action(actions, "edit", "give a clip the text that is really said", "CLIP")
    edit.add_argument("text", metavar="TEXT", help="what is said")
    edit.set_defaults(run=run_edit)
    told = {
        "drop": "leave clips out of the training",
        "restore": "take dropped clips back",
        "accept": "say that clips are right as they are",
    }
    for name, help in told.items():
        change = _action(actions, name, help)
        change.add_argument("clips", metavar="CLIP", nargs="+", help="as `show` names them")
        change.set_defaults(run=run_change, change=name)
    _action(actions, "merge", "join a clip with the next", "CLIP").set_defaults(run=run_merge)
    split = _action(actions, "split", "cut a clip in two", "CLIP")
    split.add_argument("--at", type=float, metavar="S", help="near this second of the clip")
    split.add_argument("--after", type=int, metavar="N", help="after so many words")
    split.set_defaults(run=run_split)
    delete = _action(actions, "delete", "move a dataset with its trainings into the bin")
    delete.set_defaults(run=run_delete)
    back = actions.add_parser("bring-back", help="bring a deleted dataset back")
    back.add_argument("name", metavar="ID", nargs="?", help="of the deletion; none lists the bin")
    back.set_defaults(run=run_back)


def run_prepare(parsed: argparse.Namespace) -> int:
    """Make a dataset."""
    studio = Studio.open()
    request = _request(studio, parsed)
    report = reporter(parsed.json)
    for remark in check_prepare(studio.layout, request).remarks:
        report.note(remark)
    task = import_module("studio.tasks.prepare")
    made = task.prepared(studio.layout, studio.settings, request, report)
    datasets = Datasets(studio.layout)
    if parsed.json:
        say_json(made)
        return 0
    say(report_text(datasets.report(made.name)))
    say()
    say(made.split)
    say(f"{studio.layout.dataset(made.name)}. Look through it: testudo datasets show {made.name}")
    return 0


def run_list(parsed: argparse.Namespace) -> int:
    """List the datasets."""
    studio = Studio.open()
    found = Datasets(studio.layout).list()
    if parsed.json:
        say_json(list(found))
        return 0
    if not found:
        say("There are no datasets yet. `testudo prepare VOICE` makes one of a voice's clips.")
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        say(f"{one.name:{width}}  {_told(one)}")
    return 0


def run_show(parsed: argparse.Namespace) -> int:
    """Tell of one dataset."""
    datasets = Datasets(Studio.open().layout)
    report = datasets.report(parsed.name)
    rows = datasets.find(parsed.name, show=parsed.only, per_page=max(1, parsed.worst)).rows
    if parsed.json:
        say_json({"report": report, "worst": list(rows)})
        return 0
    say(report_text(report))
    if rows and parsed.worst > 0:
        say(f"\nThe clips that want looking at most ({parsed.only})")
        _tell(rows)
    return 0


def run_edit(parsed: argparse.Namespace) -> int:
    """Change the text of a clip."""
    datasets = Datasets(Studio.open().layout)
    return _show(datasets, parsed, datasets.edit_text(parsed.name, parsed.clip, parsed.text))


def run_change(parsed: argparse.Namespace) -> int:
    """Drop, restore or accept clips."""
    datasets = Datasets(Studio.open().layout)
    change = {"drop": datasets.drop, "restore": datasets.restore, "accept": datasets.accept}
    return _show(datasets, parsed, change[parsed.change](parsed.name, parsed.clips))


def run_merge(parsed: argparse.Namespace) -> int:
    """Join a clip with the next."""
    datasets = Datasets(Studio.open().layout)
    return _show(datasets, parsed, datasets.merge(parsed.name, parsed.clip))


def run_split(parsed: argparse.Namespace) -> int:
    """Cut a clip in two."""
    datasets = Datasets(Studio.open().layout)
    parts = datasets.split(parsed.name, parsed.clip, parsed.at, parsed.after)
    return _show(datasets, parsed, parts)


def run_delete(parsed: argparse.Namespace) -> int:
    """Delete a dataset."""
    deleted = Datasets(Studio.open().layout).delete(parsed.name)
    if parsed.json:
        say_json(deleted)
    else:
        say(f"{deleted.name} is in the bin. testudo datasets bring-back {deleted.id}")
    return 0


def run_back(parsed: argparse.Namespace) -> int:
    """Bring a dataset back, or list what could be."""
    datasets = Datasets(Studio.open().layout)
    if parsed.name:
        say(f"{datasets.restore_deleted(parsed.name)} is back.")
        return 0
    for one in datasets.deleted():
        say(f"{one.id}  {one.name}")
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
    add_knobs(parser, "options", knobs_of(PrepareOptions))
    parser.set_defaults(run=run_prepare)


def _action(
    actions: argparse._SubParsersAction[Parser], name: str, help: str, clip: str = ""
) -> Parser:
    parser = actions.add_parser(name, help=help)
    parser.add_argument("name", metavar="NAME", help="the dataset")
    if clip:
        parser.add_argument("clip", metavar=clip, help="as `show` names it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _request(studio: Studio, parsed: argparse.Namespace) -> PrepareRequest:
    turned: Mapping[str, Any] = given(parsed, knobs_of(PrepareOptions))
    is_path = any(sign in parsed.source for sign in "/\\~") or parsed.source in (".", "..")
    is_folder = is_path or not (studio.layout.voices / parsed.source).is_dir()
    as_folder = is_folder and (is_path or Path(parsed.source).is_dir())
    with refusing(ValueError):
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


def _told(one: DatasetInfo) -> str:
    state = "" if one.state == "ready" else f" ({one.state})"
    of = f"{one.kept} of {one.clips} clips" if one.clips else "no clips"
    by = f", text by {one.transcriber}" if one.transcriber else ""
    return f"{one.kept_s / 60:.1f} minutes in {of}{by}{state}"


def _show(datasets: Datasets, parsed: argparse.Namespace, rows: Sequence[ClipRow]) -> int:
    if parsed.json:
        say_json(list(rows))
    else:
        _tell(rows)
    if datasets.is_trained_on(parsed.name):
        reporter(parsed.json).note("A training runs on it; this counts from the next one on.")
    return 0


def _tell(rows: Sequence[ClipRow]) -> None:
    for row in rows:
        why = f": {REASONS[row.reason]}" if row.reason else ""
        say(f"{row.id}  {row.seconds:.1f} s  {'kept' if row.kept else 'dropped'}{why}")
        say(f"    {row.text or '(no text)'}")

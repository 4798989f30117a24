"""testudo train and testudo runs: start, watch, stop, resume and export training runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Annotated

import typer

from cli.options import JsonFlag, add_command
from cli.output import create_reporter, emit, print_line, print_table
from cli.training.watch import (
    follow_run,
    format_checkpoint_line,
    format_progress_line,
    format_run_outcome,
)
from core.errors import AppError
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.training_runs.run_status import RunStatus, RunSummary
from studio.training_runs.service import build_export_request
from studio.training_runs.trash import delete_run, list_deleted_runs, restore_run

ACTIONS = ("watch", "stop", "resume", "publish", "delete", "undelete", "trash")
USAGE = """{help}

testudo train DATASET --name NAME --follow

testudo train watch|stop|resume|delete DATASET/RUN

testudo train trash DATASET

testudo train undelete DATASET/ID

testudo train publish DATASET/RUN --step N --name NAME

Training runs in the background and continues when the terminal or the studio is closed."""


def register(app: typer.Typer, name: str, help: str, arguments: Sequence[str]) -> None:
    """Add `train` or `runs` to the program."""
    if name == "train":
        add_command(app, name, USAGE.format(help=help), short_help=help)(run_train)
    else:
        add_command(app, name, help)(run_runs)


def run_train(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET",
            help=f"A dataset with a train.yaml, or one of {', '.join(ACTIONS)} and DATASET/RUN.",
        ),
    ],
    name: Annotated[
        str, typer.Option(help="Name of the run (publish: of the model); default a number.")
    ] = "",
    step: Annotated[int | None, typer.Option(help="publish: step of the checkpoint.")] = None,
    now: Annotated[
        bool, typer.Option("--now", help="stop: kill the run if it does not stop in 30 seconds.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the progress; Ctrl-C does not stop the run.")
    ] = False,
    as_json: JsonFlag = False,
) -> int:
    studio = Studio.open()
    follow = follow and not as_json
    if len(what) == 1:
        _check_is_dataset(studio, what[0])
        return _emit_started(studio, studio.runs.start(what[0], name), follow, as_json)
    action, where, *rest = what
    if action not in ACTIONS or rest:
        raise AppError(
            f"{quote_for_message(' '.join(what))} is not a command. Write testudo train DATASET, "
            f"or one of {', '.join(ACTIONS)} and then DATASET/RUN.",
            code="bad_request",
        )
    if action == "trash":
        return _list_trash(studio, where, as_json)
    dataset, run = parse_run_name(where)
    if action == "watch":
        return follow_run(studio.runs, dataset, run)
    if action == "resume":
        return _emit_started(studio, studio.runs.resume(dataset, run), follow, as_json)
    if action == "publish":
        return _export_checkpoint(studio, (dataset, run), step, name, as_json)
    if action in ("delete", "undelete"):
        change = _delete if action == "delete" else _restore
        return change(studio, dataset, run, as_json)
    return _stop(studio, dataset, run, now, follow, as_json)


def _check_is_dataset(studio: Studio, name: str) -> None:
    """Refuse an action without a run, and a run without an action, with what to write."""
    if name in ACTIONS and not studio.layout.dataset(name).is_dir():
        example = "DATASET" if name == "trash" else "DATASET/RUN"
        raise AppError(f"Name the run: testudo train {name} {example}. `testudo runs` lists them.")
    if "/" in name:
        where = "/".join(parse_run_name(name))
        raise AppError(
            f"{quote_for_message(name)} is a run, not a dataset. To resume it: testudo train "
            f"resume {where}; to start another one: testudo train {where.partition('/')[0]}"
        )


def run_runs(
    which: Annotated[str, typer.Argument(metavar="DATASET[/RUN]", help="Default all.")] = "",
    as_json: JsonFlag = False,
) -> int:
    runs = Studio.open().runs
    if "/" in which:
        view = runs.view(*parse_run_name(which))
        return emit(view, _format_run(view), as_json)
    rows = runs.list(which)
    if as_json:
        return emit(rows, "", True)
    if not rows:
        print_line("There are no training runs yet. `testudo train DATASET` starts one.")
    print_table(["run", "state"], [(f"{row.dataset}/{row.name}", _summarize(row)) for row in rows])
    return 0


def parse_run_name(where: str) -> tuple[str, str]:
    """Return dataset and run of DATASET/RUN."""
    dataset, slash, name = where.partition("/")
    if not slash or not dataset or not name:
        raise AppError(
            f"{quote_for_message(where)} is not a run. Write DATASET/RUN; `testudo runs` lists "
            "them."
        )
    return dataset, name


def _emit_started(studio: Studio, view: RunStatus, follow: bool, as_json: bool) -> int:
    where = f"{view.dataset}/{view.name}"
    report = create_reporter(as_json)
    for note in view.notes:
        report.note(note)
    if follow:
        return follow_run(studio.runs, view.dataset, view.name)
    waits = " It starts after the current training run." if view.state == "waiting" else ""
    text = (
        f"{where} runs in the background.{waits} Status: testudo runs {where}; stop it: "
        f"testudo train stop {where}"
    )
    return emit(view, text, as_json)


def _list_trash(studio: Studio, dataset: str, as_json: bool) -> int:
    found = list_deleted_runs(studio.layout, dataset)
    lines = [f"{one.dataset}/{one.id}  {one.name}" for one in found]
    return emit(found, lines or "The trash is empty.", as_json)


def _delete(studio: Studio, dataset: str, run: str, as_json: bool) -> int:
    deleted = delete_run(studio.layout, dataset, run)
    restore = f"testudo train undelete {dataset}/{deleted.id}"
    text = f"{dataset}/{run} moved to the trash. Restore with: {restore}"
    return emit(deleted, text, as_json)


def _restore(studio: Studio, dataset: str, id: str, as_json: bool) -> int:
    name = restore_run(studio.layout, dataset, id)
    return emit(studio.runs.view(dataset, name), f"{dataset}/{name} restored.", as_json)


def _stop(studio: Studio, dataset: str, name: str, now: bool, follow: bool, as_json: bool) -> int:
    where, view = f"{dataset}/{name}", studio.runs.view(dataset, name)
    if view.is_over:
        return emit(view, f"{where} is {view.state} already.", as_json)
    if now:
        view = studio.runs.terminate(dataset, name)
        text = f"{where} ended at step {view.step}: {view.message}".rstrip()
        return emit(view, text, as_json)
    emit(studio.runs.stop(dataset, name), f"{where} saves a checkpoint, then stops.", as_json)
    return follow_run(studio.runs, dataset, name) if follow else 0


def _export_checkpoint(
    studio: Studio, run: tuple[str, str], step: int | None, name: str, as_json: bool
) -> int:
    step = step if step is not None else studio.runs.view(*run).best
    if step is None:
        raise AppError(f"{run[0]}/{run[1]} has no best checkpoint yet. Add --step N.")
    request = build_export_request(studio.layout, *run, step, name)
    task = import_module("studio.workers.model_tasks")
    made = task.export_run_checkpoint(studio, request, create_reporter(as_json))
    text = (
        f"{made.bundle} is exported. Try it: testudo speak TEXT "
        f"--voice {quote_for_message(made.voice)} --model {quote_for_message(made.bundle)}"
    )
    return emit(made, text, as_json)


def _format_run(view: RunStatus) -> Iterator[str]:
    if view.is_over:
        yield from format_run_outcome(view)
    else:
        yield f"{view.dataset}/{view.name}: {view.state}. {format_progress_line(view)}"
        yield from filter(None, (view.why_best, view.overfitting))
    yield from (f"warning: {warning}" for warning in view.warnings)
    for item in view.checkpoints:
        yield f"  {format_checkpoint_line(item)}" + ("" if item.there else " (not kept)")


def _summarize(row: RunSummary) -> str:
    best = f", best {row.best}" if row.best is not None else ""
    return f"{row.state}, step {row.step} of {row.steps}{best}"

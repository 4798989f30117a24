"""testudo train and testudo runs: trainings begun, watched, stopped, gone on with, published."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from cli.options import Parser
from cli.output import create_reporter, print_json, print_line
from cli.watch import follow_run, format_checkpoint_line, format_progress_line, format_run_outcome
from core.errors import AppError
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.training_runs.run_status import RunStatus, RunSummary
from studio.training_runs.service import build_export_request
from studio.training_runs.trash import delete_run

ACTIONS = ("watch", "stop", "resume", "publish", "delete")


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `train` and `runs` to the program."""
    parser = commands.add_parser(
        "train",
        help="begin, watch, stop, resume or publish a training",
        usage="testudo train DATASET [--name NAME] [--follow]\n"
        "       testudo train watch|stop|resume|delete DATASET/RUN [--follow|--now]\n"
        "       testudo train publish DATASET/RUN --step N [--name NAME]",
        description="A training runs by itself: closing the terminal or the studio leaves it be.",
    )
    parser.add_argument(
        "what",
        metavar="DATASET",
        nargs="+",
        help=f"a dataset with a train.yaml, or one of {', '.join(ACTIONS)} and then DATASET/RUN",
    )
    parser.add_argument(
        "--name",
        default="",
        help="what to call the run (or, for publish, the "
        "model); the next number where none is given",
    )
    parser.add_argument("--step", type=int, help="publish: which checkpoint")
    parser.add_argument(
        "--now",
        action="store_true",
        help="stop: end it for good where it does not end by itself within half a minute",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="stay and show how it goes; Ctrl-C leaves the run going",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_train)
    listing = commands.add_parser("runs", help="list the trainings, or show one")
    listing.add_argument("which", metavar="DATASET[/RUN]", nargs="?", default="")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=run_runs)


def run_train(parsed: argparse.Namespace) -> int:
    """Begin a training, or do something with one."""
    studio = Studio.open()
    if len(parsed.what) == 1:
        view = studio.runs.start(parsed.what[0], parsed.name)
        return _follow_or_print_start(studio, view, parsed)
    action, where, *rest = parsed.what
    if action not in ACTIONS or rest:
        raise AppError(
            f"{quote_for_message(' '.join(parsed.what))} means nothing here. Write testudo "
            f"train DATASET, or "
            f"one of {', '.join(ACTIONS)} and then DATASET/RUN.",
            code="bad_request",
        )
    dataset, name = parse_run_name(where)
    if action == "watch":
        return follow_run(studio.runs, dataset, name)
    if action == "resume":
        return _follow_or_print_start(studio, studio.runs.resume(dataset, name), parsed)
    if action == "publish":
        return _export_checkpoint(studio, dataset, name, parsed)
    if action == "delete":
        deleted = delete_run(studio.layout, dataset, name)
        _print_result(deleted, f"{where} is in the bin, as {deleted.id}.", parsed)
        return 0
    return _stop(studio, dataset, name, parsed)


def run_runs(parsed: argparse.Namespace) -> int:
    """List the trainings, or show one."""
    runs = Studio.open().runs
    if "/" in parsed.which:
        view = runs.view(*parse_run_name(parsed.which))
        if parsed.json:
            print_json(view)
        else:
            _print_run(view)
        return 0
    rows = runs.list(parsed.which)
    if parsed.json:
        print_json(rows)
        return 0
    if not rows:
        print_line("There are no trainings yet. `testudo train DATASET` begins one.")
    width = max((len(f"{row.dataset}/{row.name}") for row in rows), default=0)
    for row in rows:
        print_line(f"{f'{row.dataset}/{row.name}':{width}}  {_format_run_row(row)}")
    return 0


def parse_run_name(where: str) -> tuple[str, str]:
    """Return dataset and run of DATASET/RUN."""
    dataset, stroke, name = where.partition("/")
    if not stroke or not dataset or not name:
        raise AppError(
            f"{quote_for_message(where)} names no run. Write DATASET/RUN; `testudo runs` lists "
            f"them."
        )
    return dataset, name


def _follow_or_print_start(studio: Studio, view: RunStatus, parsed: argparse.Namespace) -> int:
    where = f"{view.dataset}/{view.name}"
    if parsed.follow and not parsed.json:
        return follow_run(studio.runs, view.dataset, view.name)
    waits = " It waits until the training before it is over." if view.state == "waiting" else ""
    _print_result(
        view,
        f"{where} runs by itself.{waits} Look: testudo runs {where}; end it: testudo train "
        f"stop {where}",
        parsed,
    )
    return 0


def _stop(studio: Studio, dataset: str, name: str, parsed: argparse.Namespace) -> int:
    where, was = f"{dataset}/{name}", studio.runs.view(dataset, name)
    if was.is_over:
        _print_result(was, f"{where} is {was.state} already.", parsed)
        return 0
    if parsed.now:
        view = studio.runs.terminate(dataset, name)
        _print_result(view, f"{where} ended at step {view.step}: {view.message}".rstrip(), parsed)
        return 0
    _print_result(studio.runs.stop(dataset, name), f"{where} saves, then ends.", parsed)
    return follow_run(studio.runs, dataset, name) if parsed.follow and not parsed.json else 0


def _export_checkpoint(studio: Studio, dataset: str, name: str, parsed: argparse.Namespace) -> int:
    step = parsed.step if parsed.step is not None else studio.runs.view(dataset, name).best
    if step is None:
        raise AppError(
            f"{dataset}/{name} has no checkpoint that is known to be best. Add --step N."
        )
    request = build_export_request(studio.layout, dataset, name, step, parsed.name)
    task = import_module("studio.workers.model_tasks")
    made = task.export_run_checkpoint(studio.layout, request, create_reporter(parsed.json))
    _print_result(
        made,
        f"{made.bundle} is there. Speak: testudo speak TEXT --voice "
        f"{quote_for_message(made.voice)} "
        f"--model {quote_for_message(made.bundle)}",
        parsed,
    )
    return 0


def _print_run(view: RunStatus) -> None:
    if view.is_over:
        for line in format_run_outcome(view):
            print_line(line)
    else:
        print_line(f"{view.dataset}/{view.name}: {view.state}. {format_progress_line(view)}")
        for sentence in filter(None, (view.why_best, view.overfitting)):
            print_line(sentence)
    for warning in view.warnings:
        print_line(f"warning: {warning}")
    for item in view.checkpoints:
        print_line(f"  {format_checkpoint_line(item)}" + ("" if item.there else " (not kept)"))


def _format_run_row(row: RunSummary) -> str:
    best = f", best {row.best}" if row.best is not None else ""
    return f"{row.state}, step {row.step} of {row.steps}{best}"


def _print_result(value: object, line: str, parsed: argparse.Namespace) -> None:
    if parsed.json:
        print_json(value)
    else:
        print_line(line)

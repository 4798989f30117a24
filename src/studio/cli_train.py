"""testudo train and testudo runs: trainings begun, watched, stopped, gone on with, published."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from studio.cli_flags import Parser
from studio.cli_follow import checkpoint_line, ending, follow, step_line
from studio.cli_output import reporter, say, say_json
from studio.errors import StudioError
from studio.layout import shown
from studio.runs_bin import delete_run
from studio.runs_publish import wish_to_publish
from studio.runs_view import RunRow, RunView
from studio.studio import Studio

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
    parser.add_argument("what", metavar="DATASET", nargs="+", help="a dataset with a train.yaml, "
                        f"or one of {', '.join(ACTIONS)} and then DATASET/RUN")  # fmt: skip
    parser.add_argument("--name", default="", help="what to call the run (or, for publish, the "
                        "model); the next number where none is given")  # fmt: skip
    parser.add_argument("--step", type=int, help="publish: which checkpoint")
    parser.add_argument("--now", action="store_true", help="stop: end it for good where it does "
                        "not end by itself within half a minute")  # fmt: skip
    parser.add_argument("--follow", action="store_true", help="stay and show how it goes; Ctrl-C "
                        "leaves the run going")  # fmt: skip
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
        return _begun(studio, view, parsed)
    action, where, *rest = parsed.what
    if action not in ACTIONS or rest:
        raise StudioError(
            f"{shown(' '.join(parsed.what))} means nothing here. Write testudo train DATASET, or "
            f"one of {', '.join(ACTIONS)} and then DATASET/RUN."
        )
    dataset, name = place_of(where)
    if action == "watch":
        return follow(studio.runs, dataset, name)
    if action == "resume":
        return _begun(studio, studio.runs.resume(dataset, name), parsed)
    if action == "publish":
        return _publish(studio, dataset, name, parsed)
    if action == "delete":
        deleted = delete_run(studio.layout, dataset, name)
        _tell(deleted, f"{where} is in the bin, as {deleted.id}.", parsed)
        return 0
    return _stop(studio, dataset, name, parsed)


def run_runs(parsed: argparse.Namespace) -> int:
    """List the trainings, or show one."""
    runs = Studio.open().runs
    if "/" in parsed.which:
        view = runs.view(*place_of(parsed.which))
        if parsed.json:
            say_json(view)
        else:
            _tell_run(view)
        return 0
    rows = runs.list(parsed.which)
    if parsed.json:
        say_json(rows)
        return 0
    if not rows:
        say("There are no trainings yet. `testudo train DATASET` begins one.")
    width = max((len(f"{row.dataset}/{row.name}") for row in rows), default=0)
    for row in rows:
        say(f"{f'{row.dataset}/{row.name}':{width}}  {_row_told(row)}")
    return 0


def place_of(where: str) -> tuple[str, str]:
    """Return dataset and run of DATASET/RUN."""
    dataset, stroke, name = where.partition("/")
    if not stroke or not dataset or not name:
        raise StudioError(
            f"{shown(where)} names no run. Write DATASET/RUN; `testudo runs` lists them."
        )
    return dataset, name


def _begun(studio: Studio, view: RunView, parsed: argparse.Namespace) -> int:
    where = f"{view.dataset}/{view.name}"
    if parsed.follow and not parsed.json:
        return follow(studio.runs, view.dataset, view.name)
    waits = " It waits until the training before it is over." if view.state == "waiting" else ""
    _tell(view, f"{where} runs by itself.{waits} Look: testudo runs {where}; end it: testudo train "
          f"stop {where}", parsed)  # fmt: skip
    return 0


def _stop(studio: Studio, dataset: str, name: str, parsed: argparse.Namespace) -> int:
    where, was = f"{dataset}/{name}", studio.runs.view(dataset, name)
    if was.is_over:
        _tell(was, f"{where} is {was.state} already.", parsed)
        return 0
    if parsed.now:
        view = studio.runs.end(dataset, name)
        _tell(view, f"{where} ended at step {view.step}: {view.message}".rstrip(), parsed)
        return 0
    _tell(studio.runs.stop(dataset, name), f"{where} saves, then ends.", parsed)
    return follow(studio.runs, dataset, name) if parsed.follow and not parsed.json else 0


def _publish(studio: Studio, dataset: str, name: str, parsed: argparse.Namespace) -> int:
    step = parsed.step if parsed.step is not None else studio.runs.view(dataset, name).best
    if step is None:
        raise StudioError(f"{dataset}/{name} has no checkpoint that is known to be best. Add "
                          "--step N.")  # fmt: skip
    request = wish_to_publish(studio.layout, dataset, name, step, parsed.name)
    task = import_module("studio.tasks.publish")
    made = task.publish_checkpoint(studio.layout, request, reporter(parsed.json))
    _tell(made, f"{made.bundle} is there. Speak: testudo speak TEXT --voice {shown(made.voice)} "
          f"--model {shown(made.bundle)}", parsed)  # fmt: skip
    return 0


def _tell_run(view: RunView) -> None:
    if view.is_over:
        for line in ending(view):
            say(line)
    else:
        say(f"{view.dataset}/{view.name}: {view.state}. {step_line(view)}")
        for sentence in filter(None, (view.why_best, view.overfitting)):
            say(sentence)
    for warning in view.warnings:
        say(f"warning: {warning}")
    for item in view.checkpoints:
        say(f"  {checkpoint_line(item)}" + ("" if item.there else " (not kept)"))


def _row_told(row: RunRow) -> str:
    best = f", best {row.best}" if row.best is not None else ""
    return f"{row.state}, step {row.step} of {row.steps}{best}"


def _tell(value: object, line: str, parsed: argparse.Namespace) -> None:
    if parsed.json:
        say_json(value)
    else:
        say(line)

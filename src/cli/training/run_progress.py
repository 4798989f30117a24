"""Show and follow training runs in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated

import typer

from cli.output import (
    CLEAR_LINE,
    clear_status_line,
    emit,
    escape_control_characters,
    print_line,
    print_table,
)
from studio.detached_runs import RunView

POLL_S = 0.5
KILL_AFTER_S = 30.0
SHOWN_FILES = 10
ENDED = ("done", "stopped", "failed", "died")
SHOWN_CURVES = ("loss", "attention", "accuracy", "validation", "validation_eer")

NowFlag = Annotated[
    bool, typer.Option("--now", help="Kill the run if it does not stop in 30 seconds.")
]


def follow_run(view_run: Callable[[], RunView], command: str, hint: str = "") -> int:
    """Show the progress of a run until it ends; return 2 where it failed.

    command: the group of commands, such as "encoder";  hint: printed where the run is done.
    """
    shown: set[str] = set()
    name = ""
    try:
        while (view := view_run()).status.state not in ENDED:
            name = view.name
            _print_new_notes(view, shown)
            if sys.stderr.isatty():
                line = escape_control_characters(format_progress(view))
                sys.stderr.write(f"{CLEAR_LINE}{line}")
                sys.stderr.flush()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        print_line(f"{name} continues. Watch it: testudo {command} watch {name}")
        return 0
    clear_status_line()
    print_line(f"{view.name}: {format_progress(view)} {view.status.message}".rstrip())
    if view.status.state == "done" and hint:
        print_line(hint)
    return 0 if view.status.state in ("done", "stopped") else 2


def _print_new_notes(view: RunView, shown: set[str]) -> None:
    for note in view.status.notes:
        if note not in shown:
            shown.add(note)
            print_line(note)


def format_progress(view: RunView) -> str:
    """Return state, step, last values and time left of a run in one line."""
    status = view.status
    facts = [status.state, f"step {status.step} of {status.steps}"]
    for name in SHOWN_CURVES:
        points = status.curves.get(name)
        facts += [f"{name.replace('_', ' ')} {points[-1][1]:.3f}"] if points else []
    facts += [f"{status.step_s:.2f} s a step"] if status.step_s else []
    facts += [f"{status.eta_s / 60:.1f} min left"] if status.eta_s is not None else []
    return ", ".join(facts) + "."


def stop_run(stop: Callable[..., RunView], name: str, now: bool, as_json: bool) -> int:
    """Request that a run stops, as `stop` of a service does, and print what that led to."""
    view = stop(name, KILL_AFTER_S if now else None)
    return emit(view, format_stopped(view), as_json)


def format_stopped(view: RunView) -> str:
    """Return what a stop request led to."""
    if view.status.state == "stopping":
        return f"{view.name} saves its state, then stops."
    return f"{view.name}: {view.status.state}."


def print_runs(found: Sequence[RunView], if_none: str, as_json: bool) -> int:
    """Print a list of runs. if_none: what is printed where there are none."""
    if as_json:
        return emit(found, "", True)
    if not found:
        print_line(if_none)
    print_table(["run", "state"], [(view.name, format_progress(view)) for view in found])
    return 0


def format_left_out(reasons: Iterable[tuple[object, str]], where: str = "") -> Iterator[str]:
    """Yield lines for the first recordings that were left out: path and reason of each.

    where: where all of them are listed, as the end of the last line.
    """
    all_reasons = list(reasons)
    yield from (f"left out: {path}: {reason}" for path, reason in all_reasons[:SHOWN_FILES])
    if len(all_reasons) > SHOWN_FILES:
        yield f"… {len(all_reasons)} files are left out{where}"

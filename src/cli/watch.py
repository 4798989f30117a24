"""A training watched in a terminal: a line for whatever happens, until it is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from cli.output import CLEAR_LINE, print_line
from studio.training_runs.run_status import RunCheckpoint, RunStatus
from studio.training_runs.service import TrainingRunService

POLL_S = 0.5
NON_TTY_INTERVAL_S = 60.0
"""Where nobody watches a changing line, a step is told at least so often."""


def follow_run(runs: TrainingRunService, dataset: str, name: str) -> int:
    """Print what happens in a run until it is over; 2 where it did not end well.

    Ctrl-C ends the watching, not the run.
    """
    where = f"{dataset}/{name}"
    try:
        view = _poll_until_over(runs, dataset, name)
    except KeyboardInterrupt:
        _clear_terminal_line()
        print_line(
            f"{where} goes on. Look: testudo runs {where}; watch: testudo train watch {where}; "
            f"end it: testudo train stop {where}"
        )
        return 0
    for line in format_run_outcome(view):
        print_line(line)
    return 0 if view.state in ("done", "stopped") else 2


def format_run_outcome(view: RunStatus) -> Iterator[str]:
    """Say how a run ended, and what to do next."""
    where = f"{view.dataset}/{view.name}"
    yield f"{where}: {view.state} at step {view.step} of {view.steps}. {view.message}".rstrip()
    if view.state in ("failed", "died") and view.details:
        yield "The end of its output:"
        yield from (f"  {line}" for line in view.details.strip().splitlines()[-5:])
    yield from filter(None, (view.why_best, view.overfitting))
    if view.can_resume:
        yield f"To go on: testudo train resume {where}"


def format_progress_line(view: RunStatus) -> str:
    """Tell how far a run is, in a line."""
    if view.state == "waiting":
        return "waiting for another training to end"
    if not view.step:
        return "beginning …"
    loss = view.curve("loss", view.stage)
    facts = [f"{view.stage} step {view.step} of {view.steps}"]
    facts += [f"loss {loss[-1][1]:.3f}"] if loss else []
    facts += [f"{view.seconds_per_step:.2f} s a step"] if view.seconds_per_step else []
    facts += [f"{_format_duration(view.eta_s)} left"] if view.eta_s is not None else []
    return ", ".join(facts)


def format_checkpoint_line(view: RunCheckpoint) -> str:
    """Tell of a checkpoint, in a line."""
    facts = [f"checkpoint {view.step}"]
    facts += [f"validation loss {view.loss:.3f}"] if view.loss is not None else []
    facts += [f"word errors {view.wer:.0%}"] if view.wer is not None else []
    facts += [f"similarity {view.similarity:.2f}"] if view.similarity is not None else []
    return ", ".join([*facts, *["best"] * view.best])


def _poll_until_over(runs: TrainingRunService, dataset: str, name: str) -> RunStatus:
    told: set[str] = set()
    last = 0.0
    watched = sys.stderr.isatty()
    while True:
        view = runs.view(dataset, name)
        for line in _iter_messages(view):
            if line not in told:
                told.add(line)
                _clear_terminal_line()
                print_line(line)
        if view.is_over:
            _clear_terminal_line()
            return view
        if watched:
            sys.stderr.write(f"{CLEAR_LINE}{format_progress_line(view)}")
            sys.stderr.flush()
        elif time.monotonic() - last >= NON_TTY_INTERVAL_S:
            last = time.monotonic()
            print_line(format_progress_line(view))
            sys.stdout.flush()
        time.sleep(POLL_S)


def _iter_messages(view: RunStatus) -> Iterator[str]:
    """Yield what is told once each."""
    yield from (f"warning: {message}" for message in view.warnings)
    yield from view.notes
    for item in view.checkpoints:
        yield format_checkpoint_line(item).removesuffix(
            ", best"
        )  # which is best changes as it goes


def _clear_terminal_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()
    sys.stdout.flush()


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes >= 10 else f"{minutes}:{rest:02d} min"

"""Follow a training run in a terminal until it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from cli.output import CLEAR_LINE, clear_status_line, escape_control_characters, print_line
from studio.training_runs.run_status import RunCheckpoint, RunStatus
from studio.training_runs.service import TrainingRunService

POLL_S = 0.5
NON_TTY_INTERVAL_S = 60.0
"""Without a terminal, the progress is printed at this interval."""


def follow_run(runs: TrainingRunService, dataset: str, name: str) -> int:
    """Print the events of a run until it is over; return 2 where it failed.

    Ctrl-C ends the watching, not the run.
    """
    where = f"{dataset}/{name}"
    try:
        view = _poll_until_over(runs, dataset, name)
    except KeyboardInterrupt:
        print_line(
            f"{where} continues. Status: testudo runs {where}; watch: testudo train watch {where}; "
            f"stop it: testudo train stop {where}"
        )
        return 0
    for line in format_run_outcome(view):
        print_line(line)
    return 0 if view.state in ("done", "stopped") else 2


def format_run_outcome(view: RunStatus) -> Iterator[str]:
    """Yield how a run ended, and what to do next."""
    where = f"{view.dataset}/{view.name}"
    yield f"{where}: {view.state} at step {view.step} of {view.steps}. {view.message}".rstrip()
    if view.state in ("failed", "died") and view.details:
        yield "Last lines of its output:"
        yield from (f"  {line}" for line in view.details.strip().splitlines()[-5:])
    yield from filter(None, (view.why_best, view.overfitting))
    if view.can_resume:
        yield f"To resume: testudo train resume {where}"


def format_progress_line(view: RunStatus) -> str:
    """Return the progress of a run in a line."""
    if view.state == "waiting":
        return "waiting for another training run to end"
    if not view.step:
        return "starting …"
    loss = view.curve("loss", view.stage)
    facts = [f"{view.stage} step {view.step} of {view.steps}"]
    facts += [f"loss {loss[-1][1]:.3f}"] if loss else []
    facts += [f"{view.seconds_per_step:.2f} s a step"] if view.seconds_per_step else []
    facts += [f"{_format_duration(view.eta_s)} left"] if view.eta_s is not None else []
    return ", ".join(facts)


def format_checkpoint_line(view: RunCheckpoint) -> str:
    """Return the measures of a checkpoint in a line."""
    facts = [f"checkpoint {view.step}"]
    facts += [f"validation loss {view.loss:.3f}"] if view.loss is not None else []
    facts += [f"WER {view.wer:.0%}"] if view.wer is not None else []
    facts += [f"similarity {view.similarity:.2f}"] if view.similarity is not None else []
    return ", ".join([*facts, *["best"] * view.best])


def _poll_until_over(runs: TrainingRunService, dataset: str, name: str) -> RunStatus:
    printed: set[str] = set()
    last = 0.0
    is_terminal = sys.stderr.isatty()
    while True:
        view = runs.view(dataset, name)
        for line in _iter_messages(view):
            if line not in printed:
                printed.add(line)
                print_line(line)
                sys.stdout.flush()
        if view.is_over:
            clear_status_line()
            return view
        if is_terminal:
            progress = escape_control_characters(format_progress_line(view))
            sys.stderr.write(f"{CLEAR_LINE}{progress}")
            sys.stderr.flush()
        elif time.monotonic() - last >= NON_TTY_INTERVAL_S:
            last = time.monotonic()
            print_line(format_progress_line(view))
            sys.stdout.flush()
        time.sleep(POLL_S)


def _iter_messages(view: RunStatus) -> Iterator[str]:
    yield from (f"warning: {message}" for message in view.warnings)
    yield from view.notes
    for item in view.checkpoints:  # which is best changes later
        yield format_checkpoint_line(item).removesuffix(", best")


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes >= 10 else f"{minutes}:{rest:02d} min"

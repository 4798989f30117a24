"""The program of a training process: arguments, signals, the lock of its folder."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event as Flag

from core.progress import ProgressReporter
from jobs.detached import hold_folder_lock
from jobs.models import JobError
from runs.events import EVENTS_FILE, TrainResult
from runs.state import STATE_FILE


def restart_run(run: Path) -> None:
    """Forget the saved state and the log of a run, so that it starts from nothing."""
    for name in (STATE_FILE, EVENTS_FILE):
        (run / name).unlink(missing_ok=True)


def run_program(
    description: str,
    train: Callable[[Path, Path, ProgressReporter], TrainResult],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one training as a program; return 0 where it was done or stopped, else 1.

    Its arguments are the folder of the run, --dataset, and --force-restart. It saves and ends at
    SIGTERM and SIGINT.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("run", type=Path, help="folder of the run, with its configuration")
    parser.add_argument("--dataset", type=Path, required=True, help="preprocessed dataset")
    parser.add_argument("--force-restart", action="store_true", help="ignore the saved state")
    parsed = parser.parse_args(arguments)
    run: Path = parsed.run.absolute()
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with hold_folder_lock(run):
            if parsed.force_restart:
                restart_run(run)
            report = ProgressReporter(stopped=stopped.is_set)
            result = train(run, parsed.dataset.absolute(), report)
            return int(result.state == "failed")
    except (JobError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1

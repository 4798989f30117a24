"""What the commands print: results to standard output, progress and warnings to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from jobs.plain import to_plain
from jobs.report import Event, Reporter

CLEAR_LINE = "\r\x1b[K"


def say(line: str = "") -> None:
    """Print one line of the result."""
    sys.stdout.write(line + "\n")


def say_json(value: Any) -> None:  # Any: whatever has a plain form
    """Print one JSON object or list."""
    say(json.dumps(to_plain(value), ensure_ascii=False, indent=2))


def reporter(quiet: bool) -> Reporter:
    """Return a reporter that shows progress where somebody watches, and warnings anyway."""
    return Reporter(Progress(watched=sys.stderr.isatty() and not quiet, quiet=quiet).show)


class Progress:
    """One line on the terminal that changes while the work goes on."""

    def __init__(self, *, watched: bool, quiet: bool) -> None:
        self._watched = watched
        self._quiet = quiet
        self._piece = ""  # how many pieces of a long text are spoken

    def show(self, event: Event) -> None:
        """Show one event."""
        clear = CLEAR_LINE if self._watched else ""
        if event.kind == "warning":
            sys.stderr.write(f"{clear}warning: {event.message}\n")
        elif event.kind == "note" and not self._quiet:
            sys.stderr.write(f"{clear}{event.message}\n")
        elif event.kind == "take" and (event.total or 0) > 1:
            self._piece = "" if event.done == event.total else f"{event.done} of {event.total}, "
        elif event.kind == "progress" and self._watched:
            of = f": {event.done} of {event.total}" if event.total else " …"
            finished = event.total is not None and event.done >= event.total
            told = "" if finished else f"{self._piece}{event.stage}{of}"
            sys.stderr.write(f"{CLEAR_LINE}{told}")
            sys.stderr.flush()

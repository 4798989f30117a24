"""What the commands print: results to standard output, progress and warnings to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from core.progress import ProgressEvent, ProgressReporter
from core.serialization import to_dict

CLEAR_LINE = "\r\x1b[K"


def print_line(line: str = "") -> None:
    """Print one line of the result."""
    sys.stdout.write(line + "\n")


def print_json(value: Any) -> None:  # Any: whatever has a plain form
    """Print one JSON object or list."""
    print_line(json.dumps(to_dict(value), ensure_ascii=False, indent=2))


def create_reporter(quiet: bool) -> ProgressReporter:
    """Return a reporter that shows progress where somebody watches, and warnings anyway."""
    return ProgressReporter(
        TerminalProgress(watched=sys.stderr.isatty() and not quiet, quiet=quiet).show
    )


class TerminalProgress:
    """One line on the terminal that changes while the work goes on."""

    def __init__(self, *, watched: bool, quiet: bool) -> None:
        self._is_interactive = watched
        self._quiet = quiet
        self._chunk_prefix = ""  # how many pieces of a long text are spoken

    def show(self, event: ProgressEvent) -> None:
        """Show one event."""
        clear = CLEAR_LINE if self._is_interactive else ""
        if event.kind == "warning":
            sys.stderr.write(f"{clear}warning: {event.message}\n")
        elif event.kind == "note" and not self._quiet:
            sys.stderr.write(f"{clear}{event.message}\n")
        elif event.kind == "take" and (event.total or 0) > 1:
            self._chunk_prefix = (
                "" if event.done == event.total else f"{event.done} of {event.total}, "
            )
        elif event.kind == "progress" and self._is_interactive:
            of = f": {event.done} of {event.total}" if event.total else " …"
            finished = event.total is not None and event.done >= event.total
            told = "" if finished else f"{self._chunk_prefix}{event.stage}{of}"
            sys.stderr.write(f"{CLEAR_LINE}{told}")
            sys.stderr.flush()

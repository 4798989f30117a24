"""Print results to standard output, progress and warnings to standard error.

rich and pydantic are imported where they are used: the help needs neither.
"""

from __future__ import annotations

import atexit
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from core.formatting import format_stage
from core.progress import ProgressEvent, ProgressReporter

if TYPE_CHECKING:
    from rich.progress import Progress

CLEAR_LINE = "\r\x1b[K"
HIDDEN_CHARACTERS = (  # they reverse the text around them, end lines, or cannot be seen
    *(0x061C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x2028, 0x202F)),
    *(*range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)),
)
CONTROL_CHARACTERS = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)},
    **{code: f"\\u{code:04x}" for code in HIDDEN_CHARACTERS},
}


def escape_control_characters(text: str) -> str:
    """Escape what a terminal would obey: names and texts may come from anyone."""
    return text.translate(CONTROL_CHARACTERS)


def clear_status_line() -> None:
    """Clear the line on standard error that shows the progress, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()


def print_line(line: str = "") -> None:
    """Print one line of the result."""
    clear_status_line()
    sys.stdout.write(escape_control_characters(line) + "\n")


def emit(result: Any, text: str | Iterable[str], as_json: bool) -> int:
    """Print `result` as JSON, or else the text or lines; return exit code 0."""
    if as_json:
        from core.serialization import to_dict

        plain = json.dumps(to_dict(result), ensure_ascii=False, indent=2)
        escapes = {
            code: json.dumps(chr(code))[1:-1] for code in (*range(127, 160), *HIDDEN_CHARACTERS)
        }
        sys.stdout.write(plain.translate(escapes) + "\n")
        return 0
    for line in [text] if isinstance(text, str) else text:
        print_line(line)
    return 0


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with headers on a terminal, else as aligned columns for other programs."""
    if rows and sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        clear_status_line()
        table = Table(box=SIMPLE_HEAD)
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in rows:
            table.add_row(*(Text(escape_control_characters(cell)) for cell in row))
        Console().print(table)
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(headers) - 1) if rows]
    for row in rows:
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)]
        print_line("  ".join([*cells, row[-1]]))


def create_reporter(quiet: bool) -> ProgressReporter:
    """Return a reporter that shows progress on a terminal, and warnings anyway."""
    return ProgressReporter(
        TerminalProgress(interactive=sys.stderr.isatty() and not quiet, quiet=quiet).show
    )


class TerminalProgress:
    """Progress on standard error, one stage at a time: a bar, or a line where no total is known."""

    def __init__(self, *, interactive: bool, quiet: bool) -> None:
        self._is_interactive = interactive
        self._quiet = quiet
        self._chunk_prefix = ""  # how many chunks of a long text are done
        self._bar = _create_bar(interactive)
        if interactive:
            atexit.register(self._bar.stop)  # restores the cursor

    def show(self, event: ProgressEvent) -> None:
        """Show one event."""
        if event.kind == "warning" or (event.kind == "note" and not self._quiet):
            prefix = "warning: " if event.kind == "warning" else ""
            clear_status_line()
            sys.stderr.write(f"{prefix}{escape_control_characters(event.message)}\n")
        elif event.kind == "take" and (event.total or 0) > 1:
            is_last = event.done == event.total
            self._chunk_prefix = "" if is_last else f"{event.done} of {event.total}, "
        elif event.kind == "progress" and self._is_interactive:
            self._show_progress(event)

    def _show_progress(self, event: ProgressEvent) -> None:
        text = escape_control_characters(self._chunk_prefix + format_stage(event.stage))
        if event.total is None or event.done >= event.total:
            self._bar.stop()
            clear_status_line()
            if event.total is None:
                sys.stderr.write(f"{text} …")
                sys.stderr.flush()
            return
        if event.done == 0 or not self._bar.tasks:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(text, total=event.total)
            clear_status_line()
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=text, completed=event.done)


def _create_bar(interactive: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # rich would send results to standard error
        disable=not interactive,
    )

"""How far a training program is, for whoever started it in a terminal."""

from __future__ import annotations

import sys
import time

from jobs.report import Event


class Teller:
    """One line on standard error, renewed at most once a second."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, event: Event) -> None:
        if time.monotonic() - self._told >= 1.0:
            self._told = time.monotonic()
            sys.stderr.write(f"\r{event.stage} {event.done}/{event.total} {event.message}")

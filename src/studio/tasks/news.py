"""Looking for a newer version in the worker, where waiting for the network stops nobody."""

from __future__ import annotations

from jobs.report import Reporter
from studio.tasks.workshop import Workshop
from studio.updates import CheckUpdates, UpdateAnswer, check_for_updates


def check_updates(workshop: Workshop, request: CheckUpdates, report: Reporter) -> UpdateAnswer:
    """Ask whether there is a newer version."""
    return check_for_updates(request)

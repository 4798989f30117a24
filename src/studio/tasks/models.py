"""Bundles of weights in the worker: fetched and checked, with progress."""

from __future__ import annotations

from jobs.report import Reporter
from studio.models import DownloadModel, VerifyModel, refuse_offline
from studio.tasks.workshop import Workshop
from studio.weights import BundleSummary, Verification, download, verify


def download_model(workshop: Workshop, request: DownloadModel, report: Reporter) -> BundleSummary:
    """Fetch published weights; goes on where an earlier attempt stopped."""
    refuse_offline(request.offline)
    return download(workshop.layout, request.name, report, request.also, request.precision)


def verify_model(workshop: Workshop, request: VerifyModel, report: Reporter) -> Verification:
    """Check every file of a bundle."""
    return verify(workshop.layout, request.name, report)

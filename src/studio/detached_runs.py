"""Training runs in one folder, each a detached process: list, view and stop them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message
from jobs import detached
from runs.event_log_reader import EventLogReader
from runs.events import EVENTS_FILE
from runs.launch import TrainingStatus, read_training_status
from studio.training_runs.run_status import (
    RunStatus,
    RunSummary,
    get_run_status,
    get_run_summary,
)

SOURCE_FILE = "dataset_path.json"  # which dataset a run was started with


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A training run and its status."""

    name: str
    folder: Path
    status: TrainingStatus


class DetachedRuns(ABC):
    """The runs of one kind in a studio. Every method may be called from any thread.

    config_files: a run has one of them;  noun: what messages call a run;  done_message: what a run
    that has ended well is for.
    """

    config_files: ClassVar[tuple[str, ...]]
    noun: ClassVar[str]
    done_message: ClassVar[str] = ""

    def __init__(
        self,
        layout: ProjectPaths,
        make_room: Callable[[], object] = lambda: None,
        models_dir: Path | None = None,
    ) -> None:
        """make_room: called before a start, to free memory;  models_dir: of the runs, None for the
        studio's own."""
        self.layout = layout
        self.make_room = make_room
        self.folder = models_dir or self.get_folder(layout)
        self._logs: dict[Path, EventLogReader] = {}

    @staticmethod
    @abstractmethod
    def get_folder(layout: ProjectPaths) -> Path:
        """Return the folder of the runs in a studio."""

    def list_runs(self) -> list[RunView]:
        """List the runs by name."""
        return [self.view(path.name) for path in self.list_run_folders()]

    def view(self, name: str) -> RunView:
        """Return one run.  Raises AppError where there is none."""
        folder = self.find(name)
        status = read_training_status(folder, self.get_event_log(folder))
        return RunView(name=name, folder=folder, status=status)

    def list_summaries(self) -> list[RunSummary]:
        """List the runs for the page, the latest first."""
        rows = [
            get_run_summary(read_dataset_name(folder), folder, self.get_event_log(folder))
            for folder in self.list_run_folders()
        ]
        return sorted(rows, key=lambda row: (row.began or float("inf"), row.name), reverse=True)

    def get_status(self, name: str) -> RunStatus:
        """Return the whole status of a run.  Raises AppError where there is none."""
        folder = self.find(name)
        status = get_run_status(read_dataset_name(folder), folder, self.get_event_log(folder))
        is_done = status.state == "done" and not status.message
        return replace(
            status,
            message=self.done_message if is_done else status.message,
            config_file=next(one for one in self.config_files if (folder / one).is_file()),
        )

    def get_event_log(self, folder: Path) -> EventLogReader:
        """Return the reader of a run's event log, which is kept between calls."""
        return self._logs.setdefault(folder, EventLogReader(folder / EVENTS_FILE))

    def list_run_folders(self) -> list[Path]:
        """List the folders of the runs by name."""
        return [path for path in list_folders(self.folder) if self._is_run(path)]

    def stop(self, name: str, grace_s: float | None = None) -> RunView:
        """Request that a run saves and ends; with a grace period, kill it after that."""
        folder = self.find(name)
        if grace_s is None:
            detached.request_stop(folder)
        else:
            detached.stop_or_kill(folder, grace_s)
        return self.view(name)

    @abstractmethod
    def resume(self, name: str) -> RunView:
        """Go on with a run that has stopped."""

    def find(self, name: str) -> Path:
        """Return the folder of a run.  Raises AppError where there is none."""
        folder = self.folder / name
        if folder.parent == self.folder and self._is_run(folder):
            return folder
        there = ", ".join(path.name for path in list_folders(self.folder)) or "none"
        raise AppError(
            f"There is no {self.noun} {quote_for_message(name)} (there: {there}).",
            code="missing_file",
        )

    def _is_run(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in self.config_files)


def read_dataset_path(folder: Path) -> str:
    """Return which dataset a run was started with, "" where that is not known."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))["dataset"])
    return ""


def read_dataset_name(folder: Path) -> str:
    """Return the name of the dataset that a run was started with."""
    return Path(read_dataset_path(folder)).name or "unknown"


def list_folders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder by name; [] where it does not exist."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []

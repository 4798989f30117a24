"""Training runs: begun apart from the studio, watched, stopped, gone on with, published.

    studio.runs.start("alice")              training/alice/runs/1
    studio.runs.view("alice", "1").step

Nothing is remembered here but what was read of the diaries: each run is its folder.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from jobs import detached
from jobs.held import is_held
from jobs.job import JobError
from studio.configuring import refuse_doomed
from studio.errors import StudioError, refusing, writing_to
from studio.finetune_voice import ensure_voice
from studio.layout import Layout, shown
from studio.runs_bin import DeletedRun, delete_run
from studio.runs_events import Diary
from studio.runs_publish import finetune_name
from studio.runs_view import RunRow, RunView, row_of, view_run
from studio.weights import existing_bundle
from training.config import CONFIG_FILE, ConfigError, FinetuneConfig, read_config

EVENTS = "events.jsonl"
TRAINER = ("-m", "training.finetune")
GRACE_S = 30.0
"""How long a training that is ended for good may still take to save."""
_NUMBER = re.compile(r"\d{1,6}")


def _nothing() -> None:
    """Do nothing."""


class Runs:
    """The training runs of one studio. Every method may be called from any thread."""

    def __init__(
        self,
        layout: Layout,
        device: Callable[[], str] = lambda: "auto",
        make_room: Callable[[], object] = _nothing,
    ) -> None:
        """Name the folders.

        device: where a run computes that names no device;  make_room: called before a training
        begins, to free memory.
        """
        self._layout = layout
        self._device = device
        self._make_room = make_room
        self._diaries: dict[Path, Diary] = {}
        self._lock = Lock()

    def list(self, dataset: str = "") -> list[RunRow]:
        """List the runs, of one dataset or of all, the latest first."""
        every = _inside(self._layout.training)
        datasets = [existing_dataset(self._layout, dataset)] if dataset else every
        folders = [(held.name, folder) for held in datasets for folder in _inside(held / "runs")]
        with self._lock:
            rows = [row_of(name, folder, self._diary(folder))
                    for name, folder in folders]  # fmt: skip
        return sorted(rows, key=lambda row: (row.began or float("inf"), row.name), reverse=True)

    def view(self, dataset: str, name: str) -> RunView:
        """Return a run as it is now.  Raises StudioError for one that is not there."""
        folder = self._folder(dataset, name)
        with self._lock:
            return view_run(dataset, folder, self._diary(folder))

    @property
    def computes(self) -> bool:
        """Whether a training computes now, so that speaking is slower."""
        return is_held(self._layout.training_turn)

    def start(self, dataset: str, name: str = "") -> RunView:
        """Begin a run of a dataset as its train.yaml says; it waits while another computes.

        name: "" for the next number.  Raises StudioError for whatever would stop it soon.
        """
        held = existing_dataset(self._layout, dataset)
        config = config_of(held)
        name = name or next_name(held / "runs")
        folder = self._layout.run(dataset, name)
        if name.casefold() in {path.name.casefold() for path in _inside(held / "runs")}:
            raise StudioError(
                f"There is already a run {shown(name)} of {dataset}. Choose another name, or "
                "resume that one.",
                cause="name_taken",
            )
        existing_bundle(self._layout, config.weights.bundle)
        refuse_doomed(self._layout, config, self._device())
        with writing_to(folder):
            folder.mkdir(parents=True)
        try:
            with writing_to(folder):
                shutil.copyfile(held / CONFIG_FILE, folder / CONFIG_FILE)
            self._launch(dataset, folder, config)
        except StudioError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.view(dataset, name)

    def stop(self, dataset: str, name: str) -> RunView:
        """Ask a run to save and end; nothing happens to one that is over."""
        detached.ask_to_stop(self._folder(dataset, name))
        return self.view(dataset, name)

    def end(self, dataset: str, name: str, grace_s: float = GRACE_S) -> RunView:
        """Stop a run, and end it for good where it does not in time; returns when it is over."""
        detached.end(self._folder(dataset, name), grace_s)
        return self.view(dataset, name)

    def resume(self, dataset: str, name: str) -> RunView:
        """Let a run that was cut off go on from its last saved state."""
        view = self.view(dataset, name)
        if view.state == "done":
            raise StudioError(
                f"{name} of {dataset} is done. Start another run to train further or otherwise."
            )
        if not view.is_over:
            raise StudioError(f"{name} of {dataset} is {view.state} already.", cause="busy")
        existing_dataset(self._layout, dataset)
        self._launch(dataset, view.folder, config_of(view.folder))
        return self.view(dataset, name)

    def delete(self, dataset: str, name: str) -> DeletedRun:
        """Move a run that is over into the bin; what it published stays."""
        return delete_run(self._layout, dataset, name)

    def _launch(self, dataset: str, folder: Path, config: FinetuneConfig) -> None:
        bundle = existing_bundle(self._layout, config.weights.bundle)
        model = finetune_name(dataset, folder.name)
        ensure_voice(self._layout, dataset)
        self._make_room()
        command = [
            *(sys.executable, *TRAINER, str(folder)),
            *("--bundle", str(bundle)),
            *("--dataset", str(self._layout.dataset(dataset))),
            *("--publish", str(self._layout.bundle(f"finetunes/{model}"))),
        ]
        with refusing(JobError), writing_to(folder):
            detached.start(command, folder, turn=self._layout.training_turn)

    def _folder(self, dataset: str, name: str) -> Path:
        folder = self._layout.run(dataset, name)
        if folder.is_dir():
            return folder
        there = ", ".join(path.name for path in _inside(folder.parent)) or "none"
        raise StudioError(
            f"There is no run {shown(name)} of {shown(dataset)} (there: {there}). It may have "
            "been deleted.",
            cause="missing_file",
        )

    def _diary(self, folder: Path) -> Diary:
        return self._diaries.setdefault(folder, Diary(folder / EVENTS))


def existing_dataset(layout: Layout, name: str) -> Path:
    """Return the folder of a dataset that is there; refuse a name that is not."""
    folder = layout.dataset(name)
    if folder.is_dir():
        return folder
    there = ", ".join(path.name for path in _inside(layout.training)) or "none"
    raise StudioError(
        f"There is no dataset {shown(name)} in {layout.training} (there: {there}). "
        "Prepare one first.",
        cause="missing_file",
    )


def config_of(folder: Path) -> FinetuneConfig:
    """Read the configuration of a dataset or run.  Raises StudioError where it cannot be used."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise StudioError(
            f"{folder.name} has no {CONFIG_FILE}. Generate its configuration first.",
        )
    with refusing(ConfigError):
        return read_config(path)


def next_name(runs: Path) -> str:
    """Return the next number that no run has."""
    taken = [int(path.name) for path in _inside(runs) if _NUMBER.fullmatch(path.name)]
    return str(max(taken, default=0) + 1)


def _inside(folder: Path) -> list[Path]:
    """Return the visible folders in a folder that may not be there."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []

"""Start, stop, resume, list and export training runs; each run is a folder.

service.start("alice")              training/alice/runs/1
service.view("alice", "1").step
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, fold_name, quote_for_message, validate_name
from jobs import detached
from jobs.file_lock import is_locked
from jobs.models import JobError
from runs.event_log_reader import EventLogReader
from runs.events import EVENTS_FILE
from studio.datasets.voice_from_dataset import ensure_voice, get_voice_name
from studio.model_store.bundles import find_model_folder
from studio.schemas.checkpoint_export import ExportCheckpointRequest, make_finetune_name
from studio.training_runs.config_service import raise_on_blocking_findings
from studio.training_runs.run_status import RunStatus, RunSummary, get_run_status, get_run_summary
from studio.training_runs.trash import DeletedRun, delete_run
from studio.voices.consent import copy_consent, read_consent
from studio.voices.consent_reminders import describe_missing_consent
from training.finetuning.config.schema import CONFIG_FILE, ConfigError, FinetuneConfig, read_config

TRAINER_COMMAND = ("-m", "training.finetuning.trainer")
STOP_GRACE_S = 30.0
"""How long a run may take to save before it is killed."""
_NUMBER = re.compile(r"\d{1,6}")


class TrainingRunService:
    """The training runs of one studio. Every method may be called from any thread."""

    def __init__(
        self,
        layout: ProjectPaths,
        device: Callable[[], str] = lambda: "auto",
        make_room: Callable[[], object] = lambda: None,
    ) -> None:
        """device: for runs that name none;  make_room: called before a start, to free memory."""
        self._layout = layout
        self._device = device
        self._free_memory = make_room
        self._event_logs: dict[Path, EventLogReader] = {}
        self._lock = Lock()

    def list(self, dataset: str = "") -> list[RunSummary]:
        """List the runs of one dataset or of all, the latest first."""
        every = _list_subfolders(self._layout.training)
        datasets = [find_dataset_folder(self._layout, dataset)] if dataset else every
        folders = [
            (parent.name, folder)
            for parent in datasets
            for folder in _list_subfolders(parent / "runs")
        ]
        with self._lock:
            rows = [
                get_run_summary(name, folder, self._get_event_log(folder))
                for name, folder in folders
            ]
        return sorted(rows, key=lambda row: (row.began or float("inf"), row.name), reverse=True)

    def view(self, dataset: str, name: str) -> RunStatus:
        """Return the status of a run.  Raises AppError where there is no such run."""
        folder = self._folder(dataset, name)
        with self._lock:
            return get_run_status(dataset, folder, self._get_event_log(folder))

    @property
    def is_training(self) -> bool:
        """Return whether a run computes now, which slows synthesis down."""
        return is_locked(self._layout.training_lock)

    def start(self, dataset: str, name: str = "") -> RunStatus:
        """Start a run of a dataset with its train.yaml; it waits while another run computes.

        name: "" for the next number.  Raises AppError where the preflight checks fail.
        """
        parent = find_dataset_folder(self._layout, dataset)
        config = read_train_config(parent)
        name = name or get_next_run_name(parent / "runs")
        folder = self._layout.run(dataset, name)
        if fold_name(name) in {fold_name(path.name) for path in _list_subfolders(parent / "runs")}:
            raise AppError(
                f"There is already a run {quote_for_message(name)} of {dataset}. Choose another "
                f"name, or "
                "resume that one.",
                code="name_taken",
            )
        find_model_folder(self._layout, config.weights.bundle)
        raise_on_blocking_findings(self._layout, config, self._device())
        with translate_write_errors(folder):
            folder.mkdir(parents=True)
        try:
            with translate_write_errors(folder):
                shutil.copyfile(parent / CONFIG_FILE, folder / CONFIG_FILE)
            note = self._launch(dataset, folder, config)
        except AppError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _add_note(self.view(dataset, name), note)

    def stop(self, dataset: str, name: str) -> RunStatus:
        """Request that a run saves and ends."""
        detached.request_stop(self._folder(dataset, name))
        return self.view(dataset, name)

    def terminate(self, dataset: str, name: str, grace_s: float = STOP_GRACE_S) -> RunStatus:
        """Stop a run, kill it where it has not ended after `grace_s`, and wait for its end."""
        detached.stop_or_kill(self._folder(dataset, name), grace_s)
        return self.view(dataset, name)

    def resume(self, dataset: str, name: str) -> RunStatus:
        """Resume a run from its last saved state."""
        view = self.view(dataset, name)
        if view.state == "done":
            raise AppError(f"{name} of {dataset} is done. Start a new run to train further.")
        if not view.is_over:
            raise AppError(f"{name} of {dataset} is {view.state} already.", code="busy")
        find_dataset_folder(self._layout, dataset)
        note = self._launch(dataset, view.folder, read_train_config(view.folder))
        return _add_note(self.view(dataset, name), note)

    def delete(self, dataset: str, name: str) -> DeletedRun:
        """Move a run to the trash; models exported from it stay."""
        return delete_run(self._layout, dataset, name)

    def _launch(self, dataset: str, folder: Path, config: FinetuneConfig) -> str:
        """Start the process; return a note about what was created for it, "" for none."""
        bundle = find_model_folder(self._layout, config.weights.bundle)
        model = make_finetune_name(dataset, folder.name)
        notes = [self._create_voice(dataset), find_missing_consent(self._layout, dataset)]
        copy_consent(find_dataset_voice(self._layout, dataset), folder)
        self._free_memory()
        command = [
            *(sys.executable, *TRAINER_COMMAND, str(folder)),
            *("--bundle", str(bundle)),
            *("--dataset", str(self._layout.dataset(dataset))),
            *("--publish", str(self._layout.model(f"finetunes/{model}"))),
        ]
        with reraise_as_app_error(JobError), translate_write_errors(folder):
            detached.start_detached(command, folder, turn=self._layout.training_lock)
        return " ".join(filter(None, notes))

    def _create_voice(self, dataset: str) -> str:
        """Create the voice of a dataset if it is missing; return a note about that."""
        before = _list_subfolders(self._layout.voices)
        folder = self._layout.voice(ensure_voice(self._layout, dataset))
        if folder in before or not folder.is_dir():
            return ""
        count = len(list(folder.iterdir()))
        clips = "1 training clip" if count == 1 else f"{count} training clips"
        return f"Copied {clips} to voices/{folder.name}: the voice of the finetuned models."

    def _folder(self, dataset: str, name: str) -> Path:
        folder = self._layout.run(dataset, name)
        if folder.is_dir():
            return folder
        there = ", ".join(path.name for path in _list_subfolders(folder.parent)) or "none"
        raise AppError(
            f"There is no run {quote_for_message(name)} of {quote_for_message(dataset)} (there: "
            f"{there}). It may have "
            "been deleted.",
            code="missing_file",
        )

    def _get_event_log(self, folder: Path) -> EventLogReader:
        return self._event_logs.setdefault(folder, EventLogReader(folder / EVENTS_FILE))


def _add_note(view: RunStatus, note: str) -> RunStatus:
    return replace(view, notes=(note, *view.notes)) if note else view


def find_dataset_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a dataset.  Raises AppError where there is none."""
    folder = layout.dataset(name)
    if folder.is_dir():
        return folder
    there = ", ".join(path.name for path in _list_subfolders(layout.training)) or "none"
    raise AppError(
        f"There is no dataset {quote_for_message(name)} in {layout.training} (there: {there}). "
        "Prepare one first.",
        code="missing_file",
    )


def read_train_config(folder: Path) -> FinetuneConfig:
    """Read the configuration of a dataset or run.  Raises AppError where it is invalid."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise AppError(
            f"{folder.name} has no {CONFIG_FILE}. Generate its configuration first.",
        )
    with reraise_as_app_error(ConfigError):
        return read_config(path)


def get_next_run_name(runs: Path) -> str:
    """Return the number after the highest one."""
    taken = [int(path.name) for path in _list_subfolders(runs) if _NUMBER.fullmatch(path.name)]
    return str(max(taken, default=0) + 1)


def _list_subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def find_dataset_voice(layout: ProjectPaths, dataset: str) -> Path:
    """Return the folder of the voice that finetuned models of a dataset speak with."""
    return layout.voice(get_voice_name(layout, dataset))


def find_missing_consent(layout: ProjectPaths, dataset: str) -> str:
    """Return the sentence that asks for the consent note of a dataset's voice, "" if it is there.

    A finetuned model is published with a copy of the note.
    """
    voice = find_dataset_voice(layout, dataset)
    return "" if read_consent(voice) is not None else describe_missing_consent(voice.name)


def build_export_request(
    layout: ProjectPaths, dataset: str, run: str, step: int, name: str = ""
) -> ExportCheckpointRequest:
    """Return the request to submit.  Raises AppError for invalid names."""
    layout.run(dataset, run)
    validate_name(name or make_finetune_name(dataset, run), "fine-tune")
    return ExportCheckpointRequest(dataset=dataset, run=run, step=step, name=name)

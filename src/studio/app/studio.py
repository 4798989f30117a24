"""The studio as one object: its folders, its settings, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from core.errors import AppError, reraise_as_app_error
from core.paths import ProjectPaths, get_project_paths
from core.progress import ProgressReporter
from jobs.models import Job, JobError
from studio.app.job_service import JobService
from studio.model_store.finetunes import resolve_model_name
from studio.schemas.settings import Settings, apply_folders
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.settings.sources import ResolvedSettings, resolve_settings
from studio.settings.store import update_settings_file
from studio.synthesis.batch import BatchJob, BatchResult, synthesize_batch
from studio.synthesis.batch_csv import read_batch_table
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.training_runs.service import TrainingRunService
from studio.voices.catalog import RANDOM_VOICE, Voice

if TYPE_CHECKING:
    from studio.workers.synthesis.synthesizer import Synthesizer


class Studio:
    """One folder of voices, results and models.

    Opening it loads nothing heavy. Doors that stay open hand in requests with `submit` and watch
    the job; one worker process does them one after another. What the command line asks for is
    done at once, in its own process, by the methods that take a reporter.
    Every method may be called from any thread.
    """

    def __init__(self, layout: ProjectPaths, settings: Settings, *, inline: bool = False) -> None:
        """Name the folders and settings.  inline: jobs run in a thread, for tests."""
        self.layout = layout
        self.settings = settings
        self.command_line_values: Mapping[str, Any] = {}
        self._inline = inline
        self._speaker: Synthesizer | None = None
        self._job_service: JobService | None = None
        self._lock = Lock()
        self._is_closed = False
        self.runs = TrainingRunService(layout, lambda: self.settings.device, self._free_memory)

    @classmethod
    def open(
        cls,
        root: Path | None = None,
        *,
        given: Mapping[str, Any] | None = None,
        inline: bool = False,
    ) -> Studio:
        """Open the studio at `root`, or the one this process belongs to.

        given: settings that the command line names; they win over the file. Any: of each its type.
        Raises StudioError for a settings file, or a given setting, that cannot be used.
        """
        layout = get_project_paths(root)
        held = resolve_settings(layout, given)
        opened = cls(apply_folders(layout, held.settings), held.settings, inline=inline)
        opened.command_line_values = held.command_line_values
        return opened

    def resolve_settings(self) -> ResolvedSettings:
        """Say which settings hold now, and where each comes from."""
        return resolve_settings(self.layout, self.command_line_values)

    def change_settings(
        self, changes: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> ResolvedSettings:
        """Save changes to the settings file, and heed them from the next request on.

        unset: names to take out of the file.  Raises StudioError, and saves nothing, for what
        cannot be used.
        """
        update_settings_file(self.layout, changes, unset)
        return self.reload_settings()

    def reload_settings(self) -> ResolvedSettings:
        """Heed the settings file as it is now, which somebody may have edited.

        Raises StudioError, and goes on with what held before, for a file that cannot be used.
        """
        held = self.resolve_settings()
        self.settings = held.settings
        return held

    def start(self) -> None:
        """Take up the jobs that were cut off, and start the worker; the first job does so too.

        Raises StudioError where another program has this studio open.
        """
        with self._queue():
            pass

    def submit(self, request: Any, *, title: str = "") -> Job:
        """Put a request at the end of the queue; it is on disk when this returns."""
        with self._queue() as doing:
            return doing.submit(self._resolve_model(request), title)

    def job(self, id: str) -> Job:
        """Return a job as it is now; raises StudioError for an unknown id."""
        with self._queue() as doing:
            return doing.queue.job(id)

    def jobs(self, *, limit: int = 50) -> list[Job]:
        """Return the newest jobs, newest first."""
        with self._queue() as doing:
            return doing.queue.jobs(limit)

    def cancel(self, id: str) -> Job:
        """Drop a waiting job, or stop a running one within two seconds; its takes are kept."""
        with self._queue() as doing:
            return doing.queue.cancel(id)

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Return the job once it is over, or as it is when the time is up."""
        with self._queue() as doing:
            return doing.queue.wait(id, timeout_s)

    def resume(self, id: str) -> Job:
        """Let a stopped or failed generation go on at its next unspoken line."""
        with self._queue() as doing:
            return doing.queue.resume(id)

    def estimate_stage_seconds(self, request: Any) -> Mapping[str, float] | None:
        """Say how many seconds each stage will take, as learnt on this machine; None if unknown."""
        with self._queue() as doing:
            return doing.estimate_stage_seconds(request)

    @property
    def unreadable_job_store(self) -> Path | None:
        """Where a list of jobs that could not be read was moved when this studio began; or None."""
        with self._queue() as doing:
            return doing.store.damaged_file

    def unload(self) -> bool:
        """Free the memory of the loaded weights; False where a job uses them: when it is over."""
        with self._queue() as doing:
            return doing.queue.stop_worker()

    def _free_memory(self) -> None:
        """Free the memory of loaded weights, where this process has any loaded."""
        with self._lock:
            doing = self._job_service
        if doing is not None:
            doing.queue.stop_worker()

    def close(self) -> None:
        """End the worker; jobs that are not over go on when the studio is opened again."""
        with self._lock:
            doing, self._job_service, self._is_closed = self._job_service, None, True
        if doing is not None:
            doing.close()

    @contextmanager
    def _queue(self) -> Iterator[JobService]:
        """Give the queue, made when first asked for; what it refuses is a StudioError."""
        with reraise_as_app_error(JobError):
            with self._lock:
                if self._is_closed:
                    raise AppError("The studio is closed. Start it again.")
                if self._job_service is None:
                    self._job_service = JobService(
                        self.layout, lambda: self.settings, inline=self._inline
                    )
                doing = self._job_service
            yield doing

    @property
    def synthesizer(self) -> Synthesizer:
        """Whoever speaks; made, and torch imported, when first asked for."""
        if self._speaker is None:
            made: Synthesizer = import_module("studio.workers.synthesis.synthesizer").Synthesizer(
                self.layout, can_download=not self.settings.offline
            )
            self._speaker = made
        return self._speaker

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        """Speak one request."""
        return self.synthesizer.speak(self._resolve_model(request), report)

    def _resolve_model(self, request: Any) -> Any:
        """Name the model that `auto` means, so that what is spoken says with which weights."""
        if not isinstance(request, SpeechRequest):
            return request
        return replace(
            request, bundle=resolve_model_name(self.layout, request.bundle, request.voice)
        )

    def create_random_voice(
        self,
        name: str,
        seed: int | None,
        bundle: str | None,
        device: str | None,
        report: ProgressReporter,
    ) -> Voice:
        """Keep a made-up voice under a name; without a seed, one that is drawn now."""
        stated = {"bundle": bundle, "device": device}
        wish = SpeechRequestInput(
            text=f"voice {name}",
            voice=RANDOM_VOICE,
            options={} if seed is None else {"seed": seed},
            request_fields={key: value for key, value in stated.items() if value is not None},
        )
        task = import_module("studio.workers.create_voice")
        request = build_request(self.settings, wish, self.layout)
        kept: Voice = task.create_random_voice(name, request, self.layout, report)
        return kept

    def import_voice(self, name: str, files: Sequence[Path], report: ProgressReporter) -> Voice:
        """Copy clips into a voice, or take the voice out of a clip that carries it."""
        task = import_module("studio.workers.create_voice")
        brought: Voice = task.import_voice(name, files, self.layout, report)
        return brought

    def synthesize_batch(
        self, table: Path, folder: Path, wish: SpeechRequestInput, report: ProgressReporter
    ) -> BatchResult:
        """Speak every row of a table into a folder; what is already there is kept."""
        rows = read_batch_table(table)
        return synthesize_batch(
            rows,
            BatchJob(
                folder=folder,
                request_input=wish,
                layout=self.layout,
                settings=self.settings,
                synthesizer=self.synthesizer,
                report=report,
            ),
        )

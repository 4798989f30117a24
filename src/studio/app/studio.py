"""The studio as one object: folders, settings, job queue, and the services behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from core.errors import AppError
from core.paths import ProjectPaths, get_project_paths
from core.progress import ProgressReporter
from jobs.models import Job
from jobs.store_file import SetAsideStore, list_set_aside
from jobs.worker_process import WorkerProcess
from studio.app.job_service import JobService
from studio.app.setting_checks import check_changed_settings
from studio.model_store.finetunes import resolve_model_name
from studio.schemas.settings import Settings, apply_folders
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.settings.sources import ResolvedSettings, resolve_settings
from studio.settings.store import update_settings_file
from studio.synthesis.batch import BatchJob, BatchResult, synthesize_batch
from studio.synthesis.batch_csv import read_batch_file
from studio.synthesis.cluster import Cluster, synthesize_on_cluster
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.catalog import RANDOM_VOICE, Voice

if TYPE_CHECKING:
    from studio.encoders.service import EncoderService
    from studio.sv2tts.service import Sv2ttsService
    from studio.training_runs.service import TrainingRunService
    from studio.workers.synthesis.synthesizer import Synthesizer

S = TypeVar("S")


class Studio:
    """The application: one folder of voices, results and models.

    Opening it imports nothing slow. The page and the API `submit` requests and watch the job; one
    worker process runs them one after another. The command line uses the methods that take a
    reporter, which run in its own process. Every method may be called from any thread.
    """

    worker_class: ClassVar[type[WorkerProcess]] = WorkerProcess

    def __init__(self, layout: ProjectPaths, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self.command_line_values: Mapping[str, Any] = {}
        self._speaker: Synthesizer | None = None
        self._job_service: JobService | None = None
        self._lock = Lock()
        self._is_closed = False
        self._services: dict[str, Any] = {}  # Any: each its class

    @classmethod
    def open(
        cls,
        root: Path | None = None,
        *,
        given: Mapping[str, Any] | None = None,
    ) -> Studio:
        """Open the studio at `root`, or the default one of this process.

        given: settings of the command line, which override the file. Any: of each its type.
        Raises AppError for a settings file, or a given setting, that cannot be used.
        """
        layout = get_project_paths(root)
        resolved = resolve_settings(layout, given)
        studio = cls(apply_folders(layout, resolved.settings), resolved.settings)
        studio.command_line_values = resolved.command_line_values
        return studio

    @property
    def runs(self) -> TrainingRunService:
        """The finetunings; imported on first use, as most commands need no training."""
        return self._get_service("runs", self._create_run_service)

    @property
    def encoders(self) -> EncoderService:
        """The trainings of speaker encoders; imported on first use."""
        return self._get_service("encoders", self._create_encoder_service)

    @property
    def sv2tts(self) -> Sv2ttsService:
        """The trainings of SV2TTS models; imported on first use."""
        return self._get_service("sv2tts", self._create_sv2tts_service)

    def _get_service(self, name: str, create: Callable[[], S]) -> S:
        if name not in self._services:
            self._services.setdefault(name, create())  # one, whichever thread was first
        service: S = self._services[name]
        return service

    def _create_run_service(self) -> TrainingRunService:
        from studio.training_runs.service import TrainingRunService

        return TrainingRunService(self.layout, lambda: self.settings.device, self._free_memory)

    def _create_encoder_service(self) -> EncoderService:
        from studio.encoders.service import EncoderService

        return EncoderService(self.layout, self._free_memory)

    def _create_sv2tts_service(self) -> Sv2ttsService:
        from studio.sv2tts.service import Sv2ttsService

        return Sv2ttsService(self.layout, self._free_memory)

    def resolve_settings(self) -> ResolvedSettings:
        """Return the current settings, and where each comes from."""
        return resolve_settings(self.layout, self.command_line_values)

    def change_settings(
        self, changes: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> ResolvedSettings:
        """Save changes to the settings file; they apply from the next request on.

        unset: names to remove from the file.  Raises AppError, and saves nothing, for a value that
        cannot be used.
        """
        check = partial(check_changed_settings, self.layout, changed=changes)
        update_settings_file(self.layout, changes, unset, check)
        return self.reload_settings()

    def reload_settings(self) -> ResolvedSettings:
        """Read the settings file again.

        Raises AppError, and keeps the settings as they were, for a file that cannot be used.
        """
        resolved = self.resolve_settings()
        self.settings = resolved.settings
        return resolved

    def start(self) -> None:
        """Requeue the jobs that were cut off, and start the worker; the first job does so too.

        Raises AppError where another program has this studio open.
        """
        self._open_queue()

    def submit(self, request: Any, *, title: str = "", origin: str = "") -> Job:
        """Append a request to the queue, and store it on disk.

        origin: what submits it, such as a tab of the page.
        """
        return self._open_queue().submit(self._resolve_model(request), title, origin)

    def job(self, id: str) -> Job:
        """Return the current state of a job; raises AppError for an unknown id."""
        return self._open_queue().queue.job(id)

    def jobs(self, *, limit: int = 50) -> list[Job]:
        """Return the newest jobs, newest first."""
        return self._open_queue().queue.jobs(limit)

    def cancel(self, id: str) -> Job:
        """Drop a waiting job, or stop a running one within two seconds; its takes are kept."""
        return self._open_queue().queue.cancel(id)

    def cancel_after_take(self, id: str) -> Job:
        """Stop a running job once its current line is finished; drop a waiting one."""
        return self._open_queue().queue.cancel_after_take(id)

    def move_job(self, id: str, place: int) -> None:
        """Put a waiting job at a place in the queue, from 1."""
        self._open_queue().store.move(id, place)
        self._open_queue().queue.notify()

    def set_queue_paused(self, paused: bool) -> None:
        """Start no further job while paused; a running one goes on. A restart ends the pause."""
        self._open_queue().queue.set_paused(paused)

    @property
    def is_queue_paused(self) -> bool:
        """Whether waiting jobs are held back."""
        return self._open_queue().queue.is_paused

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Wait for the end of a job, at most `timeout`, and return the job."""
        return self._open_queue().queue.wait(id, timeout_s)

    def resume(self, id: str) -> Job:
        """Requeue a stopped or failed generation, to go on at its next missing line."""
        return self._open_queue().queue.resume(id)

    def estimate_stage_seconds(self, request: Any) -> Mapping[str, float] | None:
        """Return how many seconds each stage will take on this machine; None if unknown."""
        return self._open_queue().estimate_stage_seconds(request)

    def list_set_aside_jobs(self) -> list[SetAsideStore]:
        """Return the lists of jobs that could not be read and were set aside."""
        return list_set_aside(self.layout.jobs_db)

    def restore_jobs(self) -> int:
        """Add the readable jobs of lists that were set aside; return how many.

        Raises JobError where there are none.
        """
        restored = self._open_queue().store.take_over(self.layout.jobs_db)
        self._open_queue().queue.notify()
        return restored

    @property
    def unreadable_job_store(self) -> Path | None:
        """Path that a damaged job list was moved to at start, or None."""
        return self._open_queue().store.damaged_file

    def unload(self) -> bool:
        """Free the memory of the loaded weights; where a job uses them, later, and return False."""
        return self._open_queue().queue.stop_worker()

    def _free_memory(self) -> None:
        with self._lock:
            service = self._job_service
        if service is not None:
            service.queue.stop_worker()

    def close(self) -> None:
        """End the worker; jobs that are not over go on when the studio is opened again."""
        with self._lock:
            service, self._job_service, self._is_closed = self._job_service, None, True
        if service is not None:
            service.close()

    def _open_queue(self) -> JobService:
        with self._lock:
            if self._is_closed:
                raise AppError("The studio is closed. Start it again.")
            if self._job_service is None:
                self._job_service = JobService(
                    self.layout, lambda: self.settings, self.worker_class
                )
            return self._job_service

    @property
    def synthesizer(self) -> Synthesizer:
        """The synthesizer of this process; created, and torch imported, on first use."""
        if self._speaker is None:
            made: Synthesizer = import_module("studio.workers.synthesis.synthesizer").Synthesizer(
                self.layout, can_download=not self.settings.offline
            )
            self._speaker = made
        return self._speaker

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        """Synthesize one request in this process."""
        return self.synthesizer.speak(self._resolve_model(request), report)

    def _resolve_model(self, request: Any) -> Any:
        """Replace the model `auto` by the one it stands for, so that the metadata names it."""
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
        """Save a random voice under a name; without a seed, a new one."""
        stated = {"bundle": bundle, "device": device}
        request_input = SpeechRequestInput(
            text=f"voice {name}",
            voice=RANDOM_VOICE,
            options={} if seed is None else {"seed": seed},
            request_fields={key: value for key, value in stated.items() if value is not None},
        )
        task = import_module("studio.workers.create_voice")
        request = build_request(self.settings, request_input, self.layout)
        voice: Voice = task.create_random_voice(name, request, self.layout, report)
        return voice

    def import_voice(self, name: str, files: Sequence[Path], report: ProgressReporter) -> Voice:
        """Copy clips into a voice, or extract the voice embedded in a clip."""
        task = import_module("studio.workers.create_voice")
        voice: Voice = task.import_voice(name, files, self.layout, report)
        return voice

    def synthesize_batch(
        self,
        table: Path,
        folder: Path,
        request_input: SpeechRequestInput,
        report: ProgressReporter,
        columns: str = "",
        cluster: str = "",
    ) -> BatchResult:
        """Synthesize every row of a table into a folder; clips that are there are kept.

        columns: of the table, as `read_batch_file` takes them; cluster: address of a Ray cluster or
        "local", "" for this process.
        """
        read = read_batch_file(table, columns)
        for line in read.notes:
            report.note(line)
        job = BatchJob(
            folder=folder.absolute(),
            request_input=request_input,
            layout=self.layout,
            settings=self.settings,
            synthesizer=self.synthesizer,
            report=report,
        )
        if cluster:
            return synthesize_on_cluster(read.rows, job, Cluster(address=cluster))
        return synthesize_batch(read.rows, job)

"""The studio as one object: its folders, its settings, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from jobs.job import Job, JobError
from jobs.report import Reporter
from studio.doing import Doing
from studio.errors import StudioError, refusing
from studio.finetunes import resolve_bundle
from studio.layout import Layout, open_layout
from studio.lines import read_table
from studio.requests import Wish, request_of
from studio.runs import Runs
from studio.setting_sources import Effective, effective_settings
from studio.settings import Settings, apply_folders
from studio.settings_file import change_file
from studio.speaking import SpeakRequest, Spoken
from studio.table import Table, TableJob, speak_rows
from studio.voices import RANDOM, Voice

if TYPE_CHECKING:
    from studio.tasks.speak import Speaker


class Studio:
    """One folder of voices, results and models.

    Opening it loads nothing heavy. Doors that stay open hand in requests with `submit` and watch
    the job; one worker process does them one after another. What the command line asks for is
    done at once, in its own process, by the methods that take a reporter.
    Every method may be called from any thread.
    """

    def __init__(self, layout: Layout, settings: Settings, *, inline: bool = False) -> None:
        """Name the folders and settings.  inline: jobs run in a thread, for tests."""
        self.layout = layout
        self.settings = settings
        self.given: Mapping[str, Any] = {}
        self._inline = inline
        self._speaker: Speaker | None = None
        self._doing: Doing | None = None
        self._lock = Lock()
        self._is_closed = False
        self.runs = Runs(layout, lambda: self.settings.device, self._make_room)

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
        layout = open_layout(root)
        held = effective_settings(layout, given)
        opened = cls(apply_folders(layout, held.settings), held.settings, inline=inline)
        opened.given = held.given
        return opened

    def effective(self) -> Effective:
        """Say which settings hold now, and where each comes from."""
        return effective_settings(self.layout, self.given)

    def change_settings(self, changes: Mapping[str, Any], unset: Sequence[str] = ()) -> Effective:
        """Save changes to the settings file, and heed them from the next request on.

        unset: names to take out of the file.  Raises StudioError, and saves nothing, for what
        cannot be used.
        """
        change_file(self.layout, changes, unset)
        return self.reload_settings()

    def reload_settings(self) -> Effective:
        """Heed the settings file as it is now, which somebody may have edited.

        Raises StudioError, and goes on with what held before, for a file that cannot be used.
        """
        held = self.effective()
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
            return doing.submit(self._resolved(request), title)

    def job(self, id: str) -> Job:
        """Return a job as it is now; raises StudioError for an unknown id."""
        with self._queue() as doing:
            return doing.runner.job(id)

    def jobs(self, *, limit: int = 50) -> list[Job]:
        """Return the newest jobs, newest first."""
        with self._queue() as doing:
            return doing.runner.jobs(limit)

    def cancel(self, id: str) -> Job:
        """Drop a waiting job, or stop a running one within two seconds; its takes are kept."""
        with self._queue() as doing:
            return doing.runner.cancel(id)

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Return the job once it is over, or as it is when the time is up."""
        with self._queue() as doing:
            return doing.runner.wait(id, timeout_s)

    def resume(self, id: str) -> Job:
        """Let a stopped or failed generation go on at its next unspoken line."""
        with self._queue() as doing:
            return doing.runner.resume(id)

    def expected_s(self, request: Any) -> Mapping[str, float] | None:
        """Say how many seconds each stage will take, as learnt on this machine; None if unknown."""
        with self._queue() as doing:
            return doing.expected_s(request)

    @property
    def journal_set_aside(self) -> Path | None:
        """Where a list of jobs that could not be read was moved when this studio began; or None."""
        with self._queue() as doing:
            return doing.journal.set_aside

    def unload(self) -> bool:
        """Free the memory of the loaded weights; False where a job uses them: when it is over."""
        with self._queue() as doing:
            return doing.runner.dismiss()

    def _make_room(self) -> None:
        """Free the memory of loaded weights, where this process has any loaded."""
        with self._lock:
            doing = self._doing
        if doing is not None:
            doing.runner.dismiss()

    def close(self) -> None:
        """End the worker; jobs that are not over go on when the studio is opened again."""
        with self._lock:
            doing, self._doing, self._is_closed = self._doing, None, True
        if doing is not None:
            doing.close()

    @contextmanager
    def _queue(self) -> Iterator[Doing]:
        """Give the queue, made when first asked for; what it refuses is a StudioError."""
        with refusing(JobError):
            with self._lock:
                if self._is_closed:
                    raise StudioError("The studio is closed. Start it again.")
                if self._doing is None:
                    self._doing = Doing(self.layout, lambda: self.settings, inline=self._inline)
                doing = self._doing
            yield doing

    @property
    def speaker(self) -> Speaker:
        """Whoever speaks; made, and torch imported, when first asked for."""
        if self._speaker is None:
            made: Speaker = import_module("studio.tasks.speak").Speaker(self.layout)
            self._speaker = made
        return self._speaker

    def speak(self, request: SpeakRequest, report: Reporter) -> Spoken:
        """Speak one request."""
        return self.speaker.speak(self._resolved(request), report)

    def _resolved(self, request: Any) -> Any:
        """Name the model that `auto` means, so that what is spoken says with which weights."""
        if not isinstance(request, SpeakRequest):
            return request
        return replace(request, bundle=resolve_bundle(self.layout, request.bundle, request.voice))

    def keep_random(
        self, name: str, seed: int | None, bundle: str | None, device: str | None, report: Reporter
    ) -> Voice:
        """Keep a made-up voice under a name; without a seed, one that is drawn now."""
        stated = {"bundle": bundle, "device": device}
        wish = Wish(
            text=f"voice {name}",
            voice=RANDOM,
            options={} if seed is None else {"seed": seed},
            stated={key: value for key, value in stated.items() if value is not None},
        )
        task = import_module("studio.tasks.newcomers")
        request = request_of(self.settings, wish, self.layout)
        kept: Voice = task.keep_random(name, request, self.layout, report)
        return kept

    def import_voice(self, name: str, files: Sequence[Path], report: Reporter) -> Voice:
        """Copy clips into a voice, or take the voice out of a clip that carries it."""
        task = import_module("studio.tasks.newcomers")
        brought: Voice = task.import_voice(name, files, self.layout, report)
        return brought

    def speak_table(self, table: Path, folder: Path, wish: Wish, report: Reporter) -> Table:
        """Speak every row of a table into a folder; what is already there is kept."""
        rows = read_table(table)
        return speak_rows(
            rows,
            TableJob(
                folder=folder,
                wish=wish,
                layout=self.layout,
                settings=self.settings,
                speaker=self.speaker,
                report=report,
            ),
        )

"""The studio as one object: its folders, its settings, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.report import Reporter
from studio.layout import Layout, open_layout
from studio.lines import read_table
from studio.requests import Wish, request_of
from studio.settings import Settings, apply_folders, load_settings
from studio.speaking import SpeakRequest, Spoken
from studio.table import Job, Table, speak_rows
from studio.voices import RANDOM, Voice

if TYPE_CHECKING:
    from studio.tasks.speak import Speaker


class Studio:
    """One folder of voices, results and models, and one engine kept warm.

    Opening it loads nothing heavy; the first request does.
    """

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self.settings = settings
        self._speaker: Speaker | None = None

    @classmethod
    def open(cls, root: Path | None = None) -> Studio:
        """Open the studio at `root`, or the one this process belongs to.

        Raises StudioError for a settings file that cannot be used.
        """
        layout = open_layout(root)
        settings = load_settings(layout)
        return cls(apply_folders(layout, settings), settings)

    @property
    def speaker(self) -> Speaker:
        """Whoever speaks; made, and torch imported, when first asked for."""
        if self._speaker is None:
            made: Speaker = import_module("studio.tasks.speak").Speaker(self.layout)
            self._speaker = made
        return self._speaker

    def speak(self, request: SpeakRequest, report: Reporter) -> Spoken:
        """Speak one request."""
        return self.speaker.speak(request, report)

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
            Job(
                folder=folder,
                wish=wish,
                layout=self.layout,
                settings=self.settings,
                speaker=self.speaker,
                report=report,
            ),
        )

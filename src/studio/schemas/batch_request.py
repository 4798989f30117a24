"""Request and result of speaking a table, one clip for each row."""

from __future__ import annotations

from dataclasses import dataclass

from core.paths import slugify

BATCH_PREFIX = "batch-"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Speak the rows of a table; what a row does not say comes from here, then from the settings.

    table: a reference, see studio.voices.uploads;  name: of the table on the user's side; the clips
    go below results/batch-NAME, and those that are there already are kept;  columns: as
    `read_batch_file` takes them.
    """

    table: str
    name: str
    columns: str = ""
    voice: str = ""
    preset: str = ""

    @property
    def folder_name(self) -> str:
        """The folder below the results."""
        return BATCH_PREFIX + slugify(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchClip:
    """A clip of a row: its path below the results, its text and its voice."""

    path: str
    text: str
    voice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTaskResult:
    """What became of a table.

    archive: name of the exported zip file, "" without a clip;  failed: rows without a clip, with
    the reason.
    """

    folder: str
    archive: str
    spoken: int
    kept: int
    clips: tuple[BatchClip, ...]
    failed: tuple[tuple[int, str], ...] = ()

"""The clips that were spoken: how their files are named, numbered and found."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message, slugify
from studio.schemas.speech import AUDIO_FORMATS, LOSSLESS_SUFFIXES

LINES_DIR_SUFFIX = ".lines"  # ends the name of the folder with the takes of a clip's lines
_NUMBER_PREFIX = re.compile(r"(\d{5,9})-")
_RESERVATION_FILE = re.compile(r"\.(\d{5,9})\.taken")
_MAX_PADDED_NUMBER = 99_999


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPath:
    """Where the files of one request go.

    final is the combined clip; its candidates lie beside it, the takes of its lines in a folder
    beside it. Takes of lines lose nothing, whatever the format of the whole: they are joined again
    when a cut-off request is taken up, or one of its lines is spoken anew.
    """

    clip_path: Path

    @property
    def lines_folder(self) -> Path:
        """The folder with the takes of the lines."""
        return self.clip_path.with_name(f"{self.clip_path.stem}{LINES_DIR_SUFFIX}")

    def candidate_path(self, number: int) -> Path:
        """Name the file of the combined clip of candidate 1 (the best), 2, …"""
        return _make_candidate_path(self.clip_path, number)

    def take_path(self, index: int, number: int = 1) -> Path:
        """Name a take of one line (from 0): its candidates from 1, later takes counted on."""
        suffix = (
            self.clip_path.suffix if self.clip_path.suffix.lower() in LOSSLESS_SUFFIXES else ".flac"
        )
        return _make_candidate_path(self.lines_folder / f"{index + 1:03d}{suffix}", number)

    def reserve(self) -> bool:
        """Take the name before anything is spoken; False where somebody else was faster."""
        with translate_write_errors(self.lines_folder):
            self.clip_path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.lines_folder.mkdir()
            except FileExistsError:
                return False
        return True

    def release(self) -> None:
        """Give the name back if nothing was kept under it."""
        with suppress(OSError):  # takes are in it, or it is gone already
            self.lines_folder.rmdir()


def get_next_output_path(layout: ProjectPaths, folder: str, text: str, format: str) -> OutputPath:
    """Name a new file under results/<voice>/, numbered after those already there."""
    results = layout.voice_results(folder)
    number = _get_next_number(results)
    return OutputPath(clip_path=results / f"{number:05d}-{slugify(text)}.{format}")


def reserve_output_path(layout: ProjectPaths, folder: str, text: str, format: str) -> OutputPath:
    """Name a new file as `get_next_output_path` does, and reserve name and number.

    Of several processes that ask at once each gets a number of its own. The folder for the takes
    of its lines is made, which is what reserves; `release` takes it away again.
    """
    while True:
        wanted = get_next_output_path(layout, folder, text, format)
        number = wanted.clip_path.name.partition("-")[0]
        claim = wanted.clip_path.with_name(f".{number}.taken")
        with translate_write_errors(claim):
            claim.parent.mkdir(parents=True, exist_ok=True)
            try:
                claim.touch(exist_ok=False)
            except FileExistsError:
                continue
        try:  # somebody may have taken the number, and be done with it, since we looked
            finished = _find_numbers(wanted.clip_path.parent, _NUMBER_PREFIX)
            if int(number) not in finished and wanted.reserve():
                return wanted
        finally:
            claim.unlink(missing_ok=True)


def parse_output_path(out: str) -> OutputPath:
    """Check the file that the user named.

    Raises StudioError for a folder, or a suffix that is no format of ours.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise AppError(f"{out} is a folder. Give the name of a file in it, as in hello.wav.")
    if path.suffix.lower().lstrip(".") not in AUDIO_FORMATS:
        raise AppError(
            f"{quote_for_message(path.name)} does not end in a format that can be written. "
            f"Choose one of: {', '.join('.' + name for name in AUDIO_FORMATS)}."
        )
    return OutputPath(clip_path=path)


def find_clip_path(layout: ProjectPaths, name: str) -> Path:
    """Find a combined clip by its path below the results, which may come from anyone.

    Raises StudioError for a path that leads elsewhere, and where there is no such clip.
    """
    root = layout.results.resolve()
    try:
        path = (root / PurePosixPath(name)).resolve()
        fits = path.is_relative_to(root) and path.suffix.lower().lstrip(".") in AUDIO_FORMATS
        found = fits and not PurePosixPath(name).is_absolute() and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        found = False
    if not found:
        raise AppError(
            f"There is no clip {quote_for_message(name)} under the results. It may have been "
            f"renamed, or "
            "deleted; choose one from the History."
        )
    return layout.results / path.relative_to(root)


def get_clip_name(layout: ProjectPaths, path: Path) -> str:
    """Return the path of a clip below the results, as `find_clip_path` takes it; "" outside."""
    root = layout.results.resolve()
    absolute = path.resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else ""


def _get_next_number(results: Path) -> int:
    """Return the number after the highest one in use.

    Prefixes of more than five digits count only after 99,999: a file that the user put there may
    begin with a date (20240131-talk.wav).
    """
    used = _find_numbers(results, _NUMBER_PREFIX) | _find_numbers(results, _RESERVATION_FILE)
    padded = max((number for number in used if number <= _MAX_PADDED_NUMBER), default=0)
    return (padded if padded < _MAX_PADDED_NUMBER else max(used)) + 1


def _find_numbers(results: Path, pattern: re.Pattern[str]) -> set[int]:
    """Return the numbers in the names of a folder's files that look so."""
    if not results.is_dir():
        return set()
    found = (pattern.match(path.name) for path in results.iterdir())
    return {int(match[1]) for match in found if match}


def _make_candidate_path(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}.candidate-{number}{path.suffix}")

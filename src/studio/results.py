"""The clips that were spoken: how their files are named, numbered and found."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from studio.errors import StudioError, writing_to
from studio.layout import Layout, shown, slug

FORMATS = ("wav", "flac", "ogg", "opus", "mp3")
LOSSLESS = (".wav", ".flac")
LINES = ".lines"  # ends the name of the folder with the takes of a clip's lines
_NUMBERED = re.compile(r"(\d{5})-")
_CLAIMED = re.compile(r"\.(\d{5})\.taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the files of one request go.

    final is the combined clip; its candidates lie beside it, the takes of its lines in a folder
    beside it. Takes of lines lose nothing, whatever the format of the whole: they are joined again
    when a cut-off request is taken up, or one of its lines is spoken anew.
    """

    final: Path

    @property
    def folder(self) -> Path:
        """The folder with the takes of the lines."""
        return self.final.with_name(f"{self.final.stem}{LINES}")

    def candidate(self, number: int) -> Path:
        """Name the file of the combined clip of candidate 1 (the best), 2, …"""
        return _numbered(self.final, number)

    def line(self, index: int, number: int = 1) -> Path:
        """Name a take of one line (from 0): its candidates from 1, later takes counted on."""
        suffix = self.final.suffix if self.final.suffix.lower() in LOSSLESS else ".flac"
        return _numbered(self.folder / f"{index + 1:03d}{suffix}", number)

    def reserve(self) -> bool:
        """Take the name before anything is spoken; False where somebody else was faster."""
        with writing_to(self.folder):
            self.final.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.folder.mkdir()
            except FileExistsError:
                return False
        return True

    def release(self) -> None:
        """Give the name back if nothing was kept under it."""
        with suppress(OSError):  # takes are in it, or it is gone already
            self.folder.rmdir()


def next_destination(layout: Layout, folder: str, text: str, format: str) -> Destination:
    """Name a new file under results/<voice>/, numbered after those already there."""
    results = layout.results_of(folder)
    number = max(_numbers_in(results, _NUMBERED) | _numbers_in(results, _CLAIMED), default=0) + 1
    return Destination(final=results / f"{number:05d}-{slug(text)}.{format}")


def reserved_destination(layout: Layout, folder: str, text: str, format: str) -> Destination:
    """Name a new file as `next_destination` does, and reserve name and number.

    Of several processes that ask at once each gets a number of its own. The folder for the takes
    of its lines is made, which is what reserves; `release` takes it away again.
    """
    while True:
        wanted = next_destination(layout, folder, text, format)
        number = wanted.final.name[:5]
        claim = wanted.final.with_name(f".{number}.taken")
        with writing_to(claim):
            claim.parent.mkdir(parents=True, exist_ok=True)
            try:
                claim.touch(exist_ok=False)
            except FileExistsError:
                continue
        try:  # somebody may have taken the number, and be done with it, since we looked
            finished = _numbers_in(wanted.final.parent, _NUMBERED)
            if int(number) not in finished and wanted.reserve():
                return wanted
        finally:
            claim.unlink(missing_ok=True)


def chosen_destination(out: str) -> Destination:
    """Check the file that the user named.

    Raises StudioError for a folder, or a suffix that is no format of ours.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise StudioError(f"{out} is a folder. Give the name of a file in it, as in hello.wav.")
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise StudioError(
            f"{shown(path.name)} does not end in a format that can be written. "
            f"Choose one of: {', '.join('.' + name for name in FORMATS)}."
        )
    return Destination(final=path)


def existing_clip(layout: Layout, name: str) -> Path:
    """Find a combined clip by its path below the results, which may come from anyone.

    Raises StudioError for a path that leads elsewhere, and where there is no such clip.
    """
    root = layout.results.resolve()
    try:
        path = (root / PurePosixPath(name)).resolve()
        fits = path.is_relative_to(root) and path.suffix.lower().lstrip(".") in FORMATS
        found = fits and not PurePosixPath(name).is_absolute() and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        found = False
    if not found:
        raise StudioError(
            f"There is no clip {shown(name)} under the results. It may have been renamed, or "
            "deleted; choose one from the History."
        )
    return layout.results / path.relative_to(root)


def clip_name(layout: Layout, path: Path) -> str:
    """Return the path of a clip below the results, as `existing_clip` takes it; "" outside."""
    root = layout.results.resolve()
    absolute = path.resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else ""


def _numbers_in(results: Path, pattern: re.Pattern[str]) -> set[int]:
    """Return the numbers in the names of a folder's files that look so."""
    if not results.is_dir():
        return set()
    found = (pattern.match(path.name) for path in results.iterdir())
    return {int(match[1]) for match in found if match}


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}.candidate-{number}{path.suffix}")

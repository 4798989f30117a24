"""The clips that were spoken: how their files are named and found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.layout import Layout, shown, slug

FORMATS = ("wav", "flac", "ogg", "opus", "mp3")
_NUMBERED = re.compile(r"(\d{5})-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the files of one request go.

    final is the combined clip; its candidates lie beside it, the takes of its lines in a folder
    beside it.
    """

    final: Path

    def candidate(self, number: int) -> Path:
        """Name the file of the combined clip of candidate 1 (the best), 2, …"""
        return _numbered(self.final, number)

    def line(self, index: int, number: int = 1) -> Path:
        """Name the take of one line (from 0) and one candidate (from 1)."""
        folder = self.final.with_name(f"{self.final.stem}.lines")
        return _numbered(folder / f"{index + 1:03d}{self.final.suffix}", number)


def next_destination(layout: Layout, folder: str, text: str, format: str) -> Destination:
    """Name a new file under results/<voice>/, numbered after those already there."""
    results = layout.results_of(folder)
    taken = [_NUMBERED.match(path.name) for path in results.iterdir()] if results.is_dir() else []
    last = max((int(match[1]) for match in taken if match), default=0)
    return Destination(final=results / f"{last + 1:05d}-{slug(text)}.{format}")


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


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}.candidate-{number}{path.suffix}")

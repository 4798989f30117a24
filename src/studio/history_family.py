"""Which files belong together: a combined clip, its candidates, its lines, and what lies beside."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from studio.errors import StudioError
from studio.layout import plain_name, shown
from studio.results import FORMATS, LINES
from studio.tags import sidecar_of

MOST_CANDIDATES = 1_000  # between two lines in the order of a clip's files
LAST_LINE = 1_000_000
_CANDIDATE = re.compile(r"(?P<stem>.+)\.candidate-(?P<number>\d{1,3})")
_LINE = re.compile(r"(?P<line>\d{1,6})(?:\.candidate-(?P<number>\d{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one audio file stands among those that belong to one clip.

    stem: the combined clip's path below the results without its suffix;  suffix: this file's own;
    line: from 1, 0 for the whole text, -1 for what else lies among the lines;  candidate: from 1,
    the best.
    """

    stem: str
    suffix: str
    line: int = 0
    candidate: int = 1

    @property
    def rank(self) -> int:
        """Order the files of a clip: the combined one, its candidates, then the lines."""
        line = self.line if self.line >= 0 else LAST_LINE
        return line * MOST_CANDIDATES + self.candidate - 1


def place_of(path: str) -> Place | None:
    """Say what the file at `path`, relative to the results, is; None for what is no clip."""
    relative = PurePosixPath(path)
    suffix = relative.suffix
    if suffix.lower().lstrip(".") not in FORMATS:
        return None
    if any(part.startswith(".") for part in relative.parts) or not is_text(path):
        return None
    folder = relative.parent
    if folder.name.endswith(LINES) and folder.name != LINES:
        stem = str(folder.with_name(folder.name.removesuffix(LINES)))
        line = _LINE.fullmatch(relative.stem)
        if line is None:
            return Place(stem=stem, suffix=suffix, line=-1)
        number = int(line["number"] or 1)
        return Place(stem=stem, suffix=suffix, line=int(line["line"]), candidate=number)
    candidate = _CANDIDATE.fullmatch(relative.stem)
    if candidate and int(candidate["number"]) > 1:
        stem = str(relative.with_name(candidate["stem"]))
        return Place(stem=stem, suffix=suffix, candidate=int(candidate["number"]))
    return Place(stem=path.removesuffix(suffix), suffix=suffix)


def owner_of(suffix: str, clips: Collection[str]) -> str:
    """Say which of the clips of one name, told apart by suffix, a line's take belongs to.

    Takes of lines lose nothing, so theirs may be another suffix than the clip's. Without a clip
    they stand for themselves.
    """
    return suffix if suffix in clips or not clips else min(clips)


def is_text(name: str) -> bool:
    """Say whether a file name can be written down; bytes from elsewhere may be no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


class Folders:
    """What lies in folders of clips, each looked at once: for one go over many clips."""

    def __init__(self) -> None:
        self._named: dict[Path, dict[str, list[Path]]] = {}

    def clips_named(self, final: Path) -> list[Path]:
        """List the combined clips of that name and their candidates, in whatever format."""
        if final.parent not in self._named:
            self._named[final.parent] = _clips_by_stem(final.parent)
        return self._named[final.parent].get(final.stem, [])

    def note(self, path: Path) -> None:
        """Remember a file that has come since."""
        place = place_of(path.name)
        if place is not None and path.parent in self._named:
            self._named[path.parent].setdefault(place.stem, []).append(path)


def parts_of(final: Path, folders: Folders | None = None) -> list[Path]:
    """List what must move with a combined clip: it, its candidates, settings beside, its lines.

    The folder of lines comes as a whole, unless a clip of the same name in another format has a
    share in it.
    """
    clips = [path for path in (folders or Folders()).clips_named(final) if path.is_file()]
    own = sorted(path for path in clips if path.suffix == final.suffix)
    found = [path for clip in own for path in (clip, sidecar_of(clip)) if path.is_file()]
    lines = final.with_name(final.stem + LINES)
    if not lines.is_dir() or not any(lines.iterdir()):
        return found  # a folder that a deletion has emptied is nobody's
    suffixes = {path.suffix for path in clips}
    if suffixes <= {final.suffix}:
        return [*found, lines]
    takes = [path for path in lines.iterdir() if place_of(path.name)]
    mine = sorted(path for path in takes if owner_of(path.suffix, suffixes) == final.suffix)
    return found + [path for take in mine for path in (take, sidecar_of(take)) if path.is_file()]


def renamed(part: Path, final: Path, target: Path) -> Path:
    """Say where a part of the family of `final` goes when that becomes `target`."""
    if part.parent != final.parent:  # a line out of a shared folder
        return target.with_name(target.stem + LINES) / part.name
    return target.with_name(target.stem + part.name.removeprefix(final.stem))


def target_of(final: Path, name: str) -> Path:
    """Name the file that `final` shall be renamed to; its suffix stays.

    Raises StudioError for a name that no clip can have.
    """
    wished = name.strip()
    if wished.lower().endswith(final.suffix.lower()):
        wished = wished[: -len(final.suffix)]
    target = final.with_name(plain_name(wished, "clip") + final.suffix)
    plain_name(target.stem + LINES, "clip")
    if place_of(target.name) != Place(stem=target.stem, suffix=target.suffix):
        raise StudioError(
            f"{shown(name)} is how the takes of another clip are named. Leave “.candidate-” out."
        )
    return target


def free_name(final: Path, folders: Folders) -> Path:
    """Return `final`, or the first of `name (2)`, `name (3)` … that nothing is called yet."""
    number, free = 1, final
    while parts_of(free, folders):
        number += 1
        free = final.with_name(f"{final.stem} ({number}){final.suffix}")
    return free


def _clips_by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        place = place_of(path.name)
        if place is not None:
            found.setdefault(place.stem, []).append(path)
    return found

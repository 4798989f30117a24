"""Which files belong together: a combined clip, its candidates, its lines, and what lies beside."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import AppError
from core.paths import quote_for_message, validate_name
from studio.schemas.speech import AUDIO_FORMATS
from studio.synthesis.audio_metadata import get_sidecar_path
from studio.synthesis.output_paths import LINES_DIR_SUFFIX

RANKS_PER_LINE = 1_000  # between two lines in the order of a clip's files
UNKNOWN_LINE_RANK = 1_000_000
_CANDIDATE = re.compile(r"(?P<stem>.+)\.candidate-(?P<number>\d{1,3})")
_LINE = re.compile(r"(?P<line>\d{1,6})(?:\.candidate-(?P<number>\d{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFileRole:
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
        line = self.line if self.line >= 0 else UNKNOWN_LINE_RANK
        return line * RANKS_PER_LINE + self.candidate - 1


def parse_clip_path(path: str) -> ClipFileRole | None:
    """Say what the file at `path`, relative to the results, is; None for what is no clip."""
    relative = PurePosixPath(path)
    suffix = relative.suffix
    if suffix.lower().lstrip(".") not in AUDIO_FORMATS:
        return None
    if any(part.startswith(".") for part in relative.parts) or not is_utf8_name(path):
        return None
    folder = relative.parent
    if folder.name.endswith(LINES_DIR_SUFFIX) and folder.name != LINES_DIR_SUFFIX:
        stem = str(folder.with_name(folder.name.removesuffix(LINES_DIR_SUFFIX)))
        line = _LINE.fullmatch(relative.stem)
        if line is None:
            return ClipFileRole(stem=stem, suffix=suffix, line=-1)
        number = int(line["number"] or 1)
        return ClipFileRole(stem=stem, suffix=suffix, line=int(line["line"]), candidate=number)
    candidate = _CANDIDATE.fullmatch(relative.stem)
    if candidate and int(candidate["number"]) > 1:
        stem = str(relative.with_name(candidate["stem"]))
        return ClipFileRole(stem=stem, suffix=suffix, candidate=int(candidate["number"]))
    return ClipFileRole(stem=path.removesuffix(suffix), suffix=suffix)


def find_owner_suffix(suffix: str, clips: Collection[str]) -> str:
    """Say which of the clips of one name, told apart by suffix, a line's take belongs to.

    Takes of lines lose nothing, so theirs may be another suffix than the clip's. Without a clip
    they stand for themselves.
    """
    return suffix if suffix in clips or not clips else min(clips)


def is_utf8_name(name: str) -> bool:
    """Say whether a file name can be written down; bytes from elsewhere may be no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


class DirectoryCache:
    """What lies in folders of clips, each looked at once: for one go over many clips."""

    def __init__(self) -> None:
        self._clips_by_folder: dict[Path, dict[str, list[Path]]] = {}

    def list_clips(self, final: Path) -> list[Path]:
        """List the combined clips of that name and their candidates, in whatever format."""
        if final.parent not in self._clips_by_folder:
            self._clips_by_folder[final.parent] = _group_clips_by_stem(final.parent)
        return self._clips_by_folder[final.parent].get(final.stem, [])

    def add(self, path: Path) -> None:
        """Remember a file that has come since."""
        place = parse_clip_path(path.name)
        if place is not None and path.parent in self._clips_by_folder:
            self._clips_by_folder[path.parent].setdefault(place.stem, []).append(path)


def list_clip_paths(final: Path, folders: DirectoryCache | None = None) -> list[Path]:
    """List what must move with a combined clip: it, its candidates, settings beside, its lines.

    The folder of lines comes as a whole, unless a clip of the same name in another format has a
    share in it.
    """
    clips = [path for path in (folders or DirectoryCache()).list_clips(final) if path.is_file()]
    own = sorted(path for path in clips if path.suffix == final.suffix)
    found = [path for clip in own for path in (clip, get_sidecar_path(clip)) if path.is_file()]
    lines = final.with_name(final.stem + LINES_DIR_SUFFIX)
    if not lines.is_dir() or not any(lines.iterdir()):
        return found  # a folder that a deletion has emptied is nobody's
    suffixes = {path.suffix for path in clips}
    if suffixes <= {final.suffix}:
        return [*found, lines]
    takes = [path for path in lines.iterdir() if parse_clip_path(path.name)]
    mine = sorted(
        path for path in takes if find_owner_suffix(path.suffix, suffixes) == final.suffix
    )
    return found + [
        path for take in mine for path in (take, get_sidecar_path(take)) if path.is_file()
    ]


def get_renamed_path(part: Path, final: Path, target: Path) -> Path:
    """Say where a part of the family of `final` goes when that becomes `target`."""
    if part.parent != final.parent:  # a line out of a shared folder
        return target.with_name(target.stem + LINES_DIR_SUFFIX) / part.name
    return target.with_name(target.stem + part.name.removeprefix(final.stem))


def get_rename_target(final: Path, name: str) -> Path:
    """Name the file that `final` shall be renamed to; its suffix stays.

    Raises StudioError for a name that no clip can have.
    """
    wished = name.strip()
    if wished.lower().endswith(final.suffix.lower()):
        wished = wished[: -len(final.suffix)]
    target = final.with_name(validate_name(wished, "clip") + final.suffix)
    validate_name(target.stem + LINES_DIR_SUFFIX, "clip")
    if parse_clip_path(target.name) != ClipFileRole(stem=target.stem, suffix=target.suffix):
        raise AppError(
            f"{quote_for_message(name)} is how the takes of another clip are named. Leave "
            f"“.candidate-” out."
        )
    return target


def find_free_clip_path(final: Path, folders: DirectoryCache) -> Path:
    """Return `final`, or the first of `name (2)`, `name (3)` … that nothing is called yet."""
    number, free = 1, final
    while list_clip_paths(free, folders):
        number += 1
        free = final.with_name(f"{final.stem} ({number}){final.suffix}")
    return free


def _group_clips_by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        place = parse_clip_path(path.name)
        if place is not None:
            found.setdefault(place.stem, []).append(path)
    return found

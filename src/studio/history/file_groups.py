"""The files of one clip as a unit: listed, renamed, deleted and restored together.

The names of these files are defined in studio.synthesis.output_paths.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError
from core.paths import find_same_name, quote_for_message, validate_name
from studio.synthesis.audio_metadata import get_sidecar_path, get_words_path
from studio.synthesis.output_paths import (
    LINES_DIR_SUFFIX,
    ClipFileRole,
    find_owner_suffix,
    parse_clip_path,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFileGroup:
    """A clip and everything that belongs to it.

    clip: the joined clip, which may be missing;  parts: the existing files, and the folder of lines
    as a whole unless a clip of another suffix shares it.
    """

    clip: Path
    parts: tuple[Path, ...]

    def get_moves(self, target: Path) -> list[tuple[Path, Path]]:
        """Return the (source, target) of every part when the clip becomes `target`."""
        lines = target.with_name(target.stem + LINES_DIR_SUFFIX)
        return [
            (part, target.with_name(target.stem + part.name.removeprefix(self.clip.stem)))
            if part.parent == self.clip.parent
            else (part, lines / part.name)
            for part in self.parts
        ]

    def iter_files(self) -> Iterator[Path]:
        """Yield every file of the clip."""
        for part in self.parts:
            yield from part.iterdir() if part.is_dir() else [part]


class FileGroups:
    """Finds the files of clips; reads each folder once, so it is for one operation only."""

    def __init__(self) -> None:
        self._clips_by_folder: dict[Path, dict[str, list[Path]]] = {}

    def find(self, clip: Path) -> ClipFileGroup:
        """Return the group of a clip; without parts where nothing of it exists."""
        siblings = [path for path in self._list_siblings(clip) if path.is_file()]
        own = sorted(path for path in siblings if path.suffix == clip.suffix)
        parts = list(_with_sidecars(own))
        lines = clip.with_name(clip.stem + LINES_DIR_SUFFIX)
        if lines.is_dir() and any(lines.iterdir()):
            suffixes = {path.suffix for path in siblings}
            if suffixes <= {clip.suffix}:
                parts.append(lines)
            else:
                takes = (path for path in lines.iterdir() if parse_clip_path(path.name))
                parts += _with_sidecars(
                    sorted(x for x in takes if find_owner_suffix(x.suffix, suffixes) == clip.suffix)
                )
        return ClipFileGroup(clip=clip, parts=tuple(parts))

    def find_free_path(self, clip: Path) -> Path:
        """Return `clip`, or the first of "name (2)", "name (3)" … that has no files."""
        number, free = 1, clip
        while self.find(free).parts:
            number += 1
            free = clip.with_name(f"{clip.stem} ({number}){clip.suffix}")
        return free

    def add(self, path: Path) -> None:
        """Add a file that was created after its folder was read."""
        role = parse_clip_path(path.name)
        if role is not None and path.parent in self._clips_by_folder:
            self._clips_by_folder[path.parent].setdefault(role.stem, []).append(path)

    def _list_siblings(self, clip: Path) -> list[Path]:
        """List the clips of that stem and their candidates, of any suffix."""
        folder = clip.parent
        if folder not in self._clips_by_folder:
            by_stem = self._clips_by_folder[folder] = {}
            for path in folder.iterdir() if folder.is_dir() else ():
                if role := parse_clip_path(path.name):
                    by_stem.setdefault(role.stem, []).append(path)
        return self._clips_by_folder[folder].get(clip.stem, [])


def get_rename_target(clip: Path, name: str) -> Path:
    """Return the path of a clip after a rename; the suffix stays.

    Raises AppError for a name that no clip can have.
    """
    stem = name.strip()
    if stem.lower().endswith(clip.suffix.lower()):
        stem = stem[: -len(clip.suffix)]
    target = clip.with_name(validate_name(stem, "clip") + clip.suffix)
    validate_name(target.stem + LINES_DIR_SUFFIX, "clip")
    if parse_clip_path(target.name) != ClipFileRole(stem=target.stem, suffix=target.suffix):
        raise AppError(
            f"{quote_for_message(name)} is reserved for the candidates of a clip. Leave "
            f"“.candidate-” out."
        )
    twin = find_same_name(clip.parent, target.name)
    if twin.exists() and not twin.samefile(clip):
        raise AppError(
            f"There is already a clip {quote_for_message(twin.name)}. Choose another name.",
            code="name_taken",
        )
    return target


def move_all(moves: Iterable[tuple[Path, Path]]) -> None:
    """Move files and folders from source to target; where one fails, move all back.

    Raises OSError for the one that failed.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if target.exists() and not source.samefile(target):  # a change of case is allowed
                raise FileExistsError(17, "a file of that name exists", str(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)  # the trash may be on another disk
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            shutil.move(target, source)
        raise


def _with_sidecars(clips: Iterable[Path]) -> Iterator[Path]:
    beside = ((clip, get_sidecar_path(clip), get_words_path(clip)) for clip in clips)
    return (path for paths in beside for path in paths if path.is_file())

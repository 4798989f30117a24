"""The trash of generated clips: TRASH/ID/deleted.json and the moved files in TRASH/ID/files/."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.files import parse_json, write_json
from core.paths import quote_for_message, validate_name
from core.serialization import ValidationError, from_dict, to_dict
from core.trash import create_deletion_id, list_subfolders
from studio.history.file_groups import ClipFileGroup, FileGroups, move_all

DELETION_FILE = "deleted.json"
FILES_DIR = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedClip:
    """A clip in the trash. ref: its path below the results;  parts: the moved files and folders."""

    ref: str
    parts: tuple[str, ...]
    starred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Clips that were deleted together. when: seconds since 1970."""

    id: str
    when: float
    clips: tuple[DeletedClip, ...]


def delete_clips(
    results: Path, trash: Path, refs: Sequence[str], stars: Collection[str]
) -> Deletion:
    """Move clips with their candidates and lines to the trash; all of them or none."""
    groups, clips = FileGroups(), []
    for ref in refs:
        parts = groups.find(results / ref).parts
        if not parts:
            raise AppError(f"{quote_for_message(ref)} no longer exists.")
        names = tuple(part.relative_to(results).as_posix() for part in parts)
        clips.append(DeletedClip(ref=ref, parts=names, starred=ref in stars))
    deletion = Deletion(id=create_deletion_id(), when=time.time(), clips=tuple(clips))
    folder = trash / deletion.id
    with translate_write_errors(folder):
        folder.mkdir(parents=True)
        # written first, so that a power failure while moving loses nothing
        write_json(folder / DELETION_FILE, to_dict(deletion), indent=None)
        try:
            move_all(
                (results / part, folder / FILES_DIR / part) for clip in clips for part in clip.parts
            )
        except OSError:
            _remove_if_empty(folder)
            raise
    return deletion


def restore_clips(results: Path, trash: Path, deletion: Deletion) -> dict[str, str]:
    """Move a deletion back and return the new ref of each clip, another where its own is taken."""
    folder = trash / deletion.id / FILES_DIR
    refs: dict[str, str] = {}
    groups = FileGroups()
    with translate_write_errors(results):
        for clip in deletion.clips:
            target = groups.find_free_path(results / clip.ref)
            parts = tuple(results / part for part in clip.parts if (folder / part).exists())
            moves = ClipFileGroup(clip=results / clip.ref, parts=parts).get_moves(target)
            move_all((folder / part.relative_to(results), goal) for part, goal in moves)
            for _, goal in moves:
                groups.add(goal)
            if parts:
                refs[clip.ref] = target.relative_to(results).as_posix()
    _remove_if_empty(folder.parent)
    return refs


def list_deletions(trash: Path) -> list[Deletion]:
    """List the deletions in the trash, the latest first, without damaged ones."""
    found = [_read_deletion(folder) for folder in list_subfolders(trash)]
    return sorted((one for one in found if one), key=lambda one: (one.when, one.id), reverse=True)


def find_deletion(trash: Path, id: str | None) -> Deletion:
    """Return the deletion of an id, or the latest one.  Raises AppError where there is none."""
    if id is not None:
        validate_name(id, "deletion")
    deletions = list_deletions(trash)
    if id is None and not deletions:
        raise AppError("The trash is empty: there is nothing to restore.")
    for deletion in deletions:
        if id in (None, deletion.id):
            return deletion
    raise AppError(
        f"There is no deletion {quote_for_message(str(id))} in the trash. It may be restored "
        "already."
    )


def _remove_if_empty(folder: Path) -> None:
    """Remove a deletion unless files are left in it."""
    if not any(path.is_file() for path in (folder / FILES_DIR).rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def _read_deletion(folder: Path) -> Deletion | None:
    try:
        content = parse_json((folder / DELETION_FILE).read_text(encoding="utf-8"))
        deletion = from_dict(Deletion, content)
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    paths = [path for clip in deletion.clips for path in (clip.ref, *clip.parts)]
    return deletion if deletion.id == folder.name and all(map(_is_inside, paths)) else None


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()

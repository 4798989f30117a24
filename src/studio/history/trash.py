"""The bin: deleted clips wait in it, with all that belongs to them, until they are wanted back."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.paths import quote_for_message, validate_name
from core.serialization import ValidationError, from_dict, to_dict
from studio.history.file_groups import (
    DirectoryCache,
    find_free_clip_path,
    get_renamed_path,
    list_clip_paths,
)

DELETION_FILE = "deleted.json"
FILES_DIR = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedClip:
    """One clip in the bin: where it was below the results, and what moved with it."""

    ref: str
    parts: tuple[str, ...]
    starred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What was deleted in one go, and can be had back in one go."""

    id: str
    when: float
    clips: tuple[DeletedClip, ...]


def delete_clips(results: Path, bin: Path, refs: Sequence[str], starred: Iterable[str]) -> Deletion:
    """Move clips, with their candidates and lines, into the bin; all of them, or none."""
    now = datetime.now().astimezone()
    stars, folders = set(starred), DirectoryCache()
    deletion = Deletion(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        when=now.timestamp(),
        clips=tuple(_make_deleted_clip(results, ref, ref in stars, folders) for ref in refs),
    )
    folder = bin / deletion.id
    with translate_write_errors(folder):
        folder.mkdir(parents=True)
        # first, so that what moved is known even if the power goes in between
        (folder / DELETION_FILE).write_text(json.dumps(to_dict(deletion)), encoding="utf-8")
        try:
            move_all(
                (results / part, folder / FILES_DIR / part)
                for clip in deletion.clips
                for part in clip.parts
            )
        except OSError:
            _remove_trash_folder(folder)
            raise
    return deletion


def restore_clips(results: Path, bin: Path, deletion: Deletion) -> dict[str, str]:
    """Move a deletion back; return where each clip is now, under a new name if its own is taken."""
    folder = bin / deletion.id
    back: dict[str, str] = {}
    folders = DirectoryCache()
    with translate_write_errors(results):
        for clip in deletion.clips:
            final = results / clip.ref
            target = find_free_clip_path(final, folders)
            here = [part for part in clip.parts if (folder / FILES_DIR / part).exists()]
            moves = [
                (folder / FILES_DIR / part, get_renamed_path(results / part, final, target))
                for part in here
            ]
            move_all(moves)
            for _, moved in moves:
                folders.add(moved)
            if here:
                back[clip.ref] = target.relative_to(results).as_posix()
    _remove_trash_folder(folder)
    return back


def list_deletions(bin: Path) -> list[Deletion]:
    """List what is in the bin, the latest first; what nobody can read is left out."""
    folders = bin.iterdir() if bin.is_dir() else []
    found = [_read_deletion(folder) for folder in folders if folder.is_dir()]
    return sorted((one for one in found if one), key=lambda one: (one.when, one.id), reverse=True)


def find_deletion(bin: Path, id: str | None) -> Deletion:
    """Return the deletion of that id, or the latest one.

    Raises StudioError where there is none.
    """
    if id is None:
        found = list_deletions(bin)
        if not found:
            raise AppError("The bin is empty: there is nothing to bring back.")
        return found[0]
    deletion = _read_deletion(bin / validate_name(id, "deletion"))
    if deletion is None:
        raise AppError(
            f"There is no deletion {quote_for_message(id)} in the bin. It may be back already."
        )
    return deletion


def compute_folder_size(folder: Path) -> int:
    """Count the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def move_all(moves: Iterable[tuple[Path, Path]]) -> None:
    """Move each file or folder to its target; where one cannot be moved, all go back.

    Raises OSError for the one that could not.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if target.exists() and not source.samefile(target):  # not only in another case
                raise FileExistsError(17, "there is already something of that name", str(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)  # the bin may lie on another disk
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            shutil.move(target, source)
        raise


def _remove_trash_folder(folder: Path) -> None:
    """Remove an entry of the bin, unless something that somebody may want is left in it."""
    if not any(path.is_file() for path in (folder / FILES_DIR).rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def _make_deleted_clip(
    results: Path, ref: str, starred: bool, folders: DirectoryCache
) -> DeletedClip:
    parts = [
        part.relative_to(results).as_posix() for part in list_clip_paths(results / ref, folders)
    ]
    if not parts:
        raise AppError(f"{quote_for_message(ref)} is not there any more.")
    return DeletedClip(ref=ref, parts=tuple(parts), starred=starred)


def _read_deletion(folder: Path) -> Deletion | None:
    try:
        deletion = from_dict(
            Deletion, json.loads((folder / DELETION_FILE).read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    paths = [path for clip in deletion.clips for path in (clip.ref, *clip.parts)]
    if deletion.id != folder.name or not all(map(_is_inside, paths)):
        return None
    return deletion


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()

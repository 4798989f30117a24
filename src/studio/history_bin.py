"""The bin: deleted clips wait in it, with all that belongs to them, until they are wanted back."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from jobs.plain import PlainError, from_plain, to_plain
from studio.errors import StudioError, writing_to
from studio.history_family import Folders, free_name, parts_of, renamed
from studio.layout import plain_name, shown

LIST = "deleted.json"
FILES = "files"


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


def delete(results: Path, bin: Path, refs: Sequence[str], starred: Iterable[str]) -> Deletion:
    """Move clips, with their candidates and lines, into the bin; all of them, or none."""
    now = datetime.now().astimezone()
    stars, folders = set(starred), Folders()
    deletion = Deletion(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        when=now.timestamp(),
        clips=tuple(_deleted(results, ref, ref in stars, folders) for ref in refs),
    )
    folder = bin / deletion.id
    with writing_to(folder):
        folder.mkdir(parents=True)
        # first, so that what moved is known even if the power goes in between
        (folder / LIST).write_text(json.dumps(to_plain(deletion)), encoding="utf-8")
        try:
            move_all(
                (results / part, folder / FILES / part)
                for clip in deletion.clips
                for part in clip.parts
            )
        except OSError:
            _remove(folder)
            raise
    return deletion


def restore(results: Path, bin: Path, deletion: Deletion) -> dict[str, str]:
    """Move a deletion back; return where each clip is now, under a new name if its own is taken."""
    folder = bin / deletion.id
    back: dict[str, str] = {}
    folders = Folders()
    with writing_to(results):
        for clip in deletion.clips:
            final = results / clip.ref
            target = free_name(final, folders)
            here = [part for part in clip.parts if (folder / FILES / part).exists()]
            moves = [
                (folder / FILES / part, renamed(results / part, final, target)) for part in here
            ]
            move_all(moves)
            for _, moved in moves:
                folders.note(moved)
            if here:
                back[clip.ref] = target.relative_to(results).as_posix()
    _remove(folder)
    return back


def deletions(bin: Path) -> list[Deletion]:
    """List what is in the bin, the latest first; what nobody can read is left out."""
    folders = bin.iterdir() if bin.is_dir() else []
    found = [_read(folder) for folder in folders if folder.is_dir()]
    return sorted((one for one in found if one), key=lambda one: (one.when, one.id), reverse=True)


def find_deletion(bin: Path, id: str | None) -> Deletion:
    """Return the deletion of that id, or the latest one.

    Raises StudioError where there is none.
    """
    if id is None:
        found = deletions(bin)
        if not found:
            raise StudioError("The bin is empty: there is nothing to bring back.")
        return found[0]
    deletion = _read(bin / plain_name(id, "deletion"))
    if deletion is None:
        raise StudioError(f"There is no deletion {shown(id)} in the bin. It may be back already.")
    return deletion


def size_of(folder: Path) -> int:
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


def _remove(folder: Path) -> None:
    """Remove an entry of the bin, unless something that somebody may want is left in it."""
    if not any(path.is_file() for path in (folder / FILES).rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def _deleted(results: Path, ref: str, starred: bool, folders: Folders) -> DeletedClip:
    parts = [part.relative_to(results).as_posix() for part in parts_of(results / ref, folders)]
    if not parts:
        raise StudioError(f"{shown(ref)} is not there any more.")
    return DeletedClip(ref=ref, parts=tuple(parts), starred=starred)


def _read(folder: Path) -> Deletion | None:
    try:
        deletion = from_plain(Deletion, json.loads((folder / LIST).read_text(encoding="utf-8")))
    except (OSError, ValueError, PlainError, RecursionError):
        return None
    paths = [path for clip in deletion.clips for path in (clip.ref, *clip.parts)]
    if deletion.id != folder.name or not all(map(_stays_below, paths)):
        return None
    return deletion


def _stays_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()

"""Starred clips, in a JSON file: the index is only a cache, which may be deleted and rebuilt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.files import write_json

MAX_STARS_BYTES = 100_000_000


def read_stars(path: Path) -> frozenset[str]:
    """Return the refs of starred clips.  Raises AppError for a file that cannot be read."""
    try:
        if path.stat().st_size > MAX_STARS_BYTES:
            raise AppError(
                f"{path} is larger than {MAX_STARS_BYTES:,} bytes. Move it to another folder."
            )
        stars = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, RecursionError) as cause:
        raise AppError(
            f"{path}, the list of starred clips, cannot be read: {cause}. Repair or move it."
        ) from cause
    if not isinstance(stars, list) or not all(isinstance(star, str) for star in stars):
        raise AppError(f"{path} is not a list of clips. Repair or move it.")
    return frozenset(stars)


def write_stars(path: Path, stars: Iterable[str]) -> None:
    """Replace the list of starred clips."""
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, sorted(stars), indent=0)


def write_stars_to_index(db: sqlite3.Connection, stars: Iterable[str]) -> None:
    """Replace the starred clips in the index."""
    db.execute("delete from stars")
    db.executemany("insert or ignore into stars values(?)", [(star,) for star in stars])


def read_stars_from_index(db: sqlite3.Connection) -> frozenset[str]:
    """Return the starred clips in the index."""
    return frozenset(row["family"] for row in db.execute("select family from stars"))

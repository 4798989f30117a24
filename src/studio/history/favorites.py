"""The stars: a small JSON file says which clips have one, so that no index can lose them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from core.errors import AppError, translate_write_errors

MAX_STARS = 1_000_000
MAX_STARS_BYTES = 100_000_000  # bytes


def read_stars(path: Path) -> frozenset[str]:
    """Return the clips with a star, by their names below the results.

    Raises StudioError for a file that is there and cannot be used.
    """
    try:
        if path.stat().st_size > MAX_STARS_BYTES:
            raise AppError(f"{path} is larger than {MAX_STARS_BYTES:,} bytes. Move it away.")
        stars = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, RecursionError) as cause:
        raise AppError(
            f"{path}, the list of starred clips, cannot be read: {cause}. Mend it or move it away."
        ) from cause
    if not isinstance(stars, list) or not all(isinstance(star, str) for star in stars):
        raise AppError(f"{path} is not a list of clips. Mend it or move it away.")
    return frozenset(stars)


def write_stars(path: Path, stars: Iterable[str]) -> None:
    """Write down which clips have a star."""
    part = path.with_name(f".{path.name}.part")
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(sorted(stars), ensure_ascii=False, indent=0), encoding="utf-8")
        part.replace(path)


def write_stars_to_index(db: sqlite3.Connection, stars: Iterable[str]) -> None:
    """Let the index know the stars."""
    db.execute("delete from stars")
    db.executemany("insert or ignore into stars values(?)", [(star,) for star in stars])


def read_stars_from_index(db: sqlite3.Connection) -> frozenset[str]:
    """Return the stars that the index knows."""
    return frozenset(row["family"] for row in db.execute("select family from stars"))

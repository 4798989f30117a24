"""Files that a browser dropped: kept below the state folder, named by a reference, not a path."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path, PurePosixPath

from studio.bringing import sweep_uploads
from studio.errors import StudioError, writing_to
from studio.layout import Layout, plain_name, shown, slug

LARGEST = 600_000_000  # bytes; half an hour of the finest recording
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


def take_in(layout: Layout, path: Path, name: str = "") -> str:
    """Copy a file that arrived here and return its reference: uploads/3f…/my-clip.wav.

    name: what its owner calls it.  Raises StudioError for what is no file or too large.
    """
    if not path.is_file():
        raise StudioError("The file did not arrive. Drop it again.")
    size = path.stat().st_size
    if size > LARGEST:
        raise StudioError(
            f"The file takes {size / 1e6:,.0f} MB; at most {LARGEST / 1e6:,.0f} MB are taken. "
            "Cut it into shorter clips."
        )
    called = Path(name or path.name)
    suffix = called.suffix.lower() if _SUFFIX.fullmatch(called.suffix.lower()) else ".bin"
    sweep_uploads(layout)
    folder = layout.state / "uploads" / secrets.token_hex(8)
    kept = folder / f"{slug(called.stem)}{suffix}"
    with writing_to(folder):
        folder.mkdir(parents=True, mode=0o700)
        shutil.copyfile(path, kept)
    return f"uploads/{folder.name}/{kept.name}"


def file_of(layout: Layout, reference: str) -> Path:
    """Return the file behind uploads/…, results/… or voices/…; refuse whatever leaves these.

    Raises StudioError for a reference of any other form, and for a file that is gone.
    """
    roots = {
        "uploads": layout.state / "uploads",
        "results": layout.results,
        "voices": layout.voices,
    }
    parts = PurePosixPath(reference).parts
    if len(parts) < 3 or parts[0] not in roots:
        raise StudioError(f"{shown(reference)} names no clip of this studio. Drop the file again.")
    root = roots[parts[0]]
    path = root.joinpath(*(plain_name(part, "clip") for part in parts[1:]))
    if not path.resolve().is_relative_to(root.resolve()) and parts[0] != "voices":
        raise StudioError(f"{shown(reference)} lies outside of this studio. Drop the file itself.")
    if not path.is_file():
        raise StudioError(f"{shown(parts[-1])} is not there any more. Drop the file again.")
    return path

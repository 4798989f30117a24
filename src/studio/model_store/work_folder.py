"""Work folders in which a model is made beside its place."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from core.files import restore_replaced_folder


def prepare_work_folder(target: Path, ending: str) -> Path:
    """Return a hidden folder beside `target` that starts with the files of `target`, if any.

    Its name contains a fingerprint of these files: a work folder that an interrupted download left
    is used again only while `target` is unchanged.
    """
    restore_replaced_folder(target)
    files = sorted(target.iterdir()) if target.is_dir() else []
    states = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    fingerprint = hashlib.sha256("\n".join(states).encode()).hexdigest()[:8] if files else "new"
    work, seed = (target.with_name(f".{target.name}.{s}.{ending}") for s in (fingerprint, "seed"))
    own_name = re.compile(rf"\.{re.escape(target.name)}\.([0-9a-f]{{8}}|new|seed)\.{ending}")
    for path in target.parent.iterdir() if target.parent.is_dir() else ():
        if own_name.fullmatch(path.name) and path != work:
            shutil.rmtree(path, ignore_errors=True)
    if files and not work.exists():
        shutil.copytree(target, seed, copy_function=_link_or_copy)
        seed.rename(work)
    return work


def _link_or_copy(source: str, target: str) -> None:
    """Hard-link a file, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

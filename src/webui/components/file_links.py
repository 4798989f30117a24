"""Where the page finds a file: addresses below its own, by names and never by paths."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from core.paths import ProjectPaths


def get_file_url(layout: ProjectPaths, path: str) -> str:
    """Return the address of a clip under results/, voices/ or training/, relative to the page.

    "" for what lies elsewhere or is gone. A clip that is joined again keeps its name, so the time
    of the file is part of the address.
    """
    file = Path(path).absolute()
    served = {"results": layout.results, "voices": layout.voices, "training": layout.training}
    for kind, folder in served.items():
        if file.is_relative_to(folder.absolute()):
            name = file.relative_to(folder.absolute()).as_posix()
            changed = _get_mtime_ms(file)
            return f"api/files/{kind}/{quote(name)}?v={changed}" if changed else ""
    return ""


def format_result_name(path: str) -> str:
    """Name a clip by its folder and file: clara/00001-hello.wav."""
    return "/".join(Path(path).parts[-2:])


def _get_mtime_ms(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError:
        return 0

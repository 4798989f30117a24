"""Addresses of files, relative to the page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from core.paths import ProjectPaths


def get_file_url(layout: ProjectPaths, path: str | Path) -> str:
    """Return the address of a file that is served; "" for any other.

    Served are results/, voices/, training/ and uploads. The address contains the time of the file,
    since a clip that is joined again keeps its name.
    """
    file = Path(path).absolute()
    served = {
        "results": layout.results,
        "voices": layout.voices,
        "training": layout.training,
        "uploads": layout.state / "uploads",
    }
    for kind, folder in served.items():
        if file.is_relative_to(folder.absolute()):
            name = file.relative_to(folder.absolute()).as_posix()
            try:
                changed = file.stat().st_mtime_ns // 1_000_000
            except OSError:
                return ""
            return f"api/files/{kind}/{quote(name)}?v={changed}"
    return ""


def get_waveform_url(layout: ProjectPaths, path: str | Path) -> str:
    """Return the address of the waveform of a file that is served; "" for any other."""
    url = get_file_url(layout, path)
    return url.replace("api/files/", "api/waveforms/", 1)


def get_words_url(layout: ProjectPaths, path: str | Path) -> str:
    """Return the address of the times of a clip's words; "" for a file outside the results."""
    url = get_file_url(layout, path)
    prefix = "api/files/results/"
    return url.replace(prefix, "api/results/words/", 1) if url.startswith(prefix) else ""

"""Pictures of the studio inside the page."""

from __future__ import annotations

import base64
from pathlib import Path

MAX_BYTES = 2_000_000


def get_picture_uri(path: str | Path) -> str:
    """Return a PNG as a data: URI; "" for a file that is missing, too large, or not a PNG."""
    try:
        content = Path(path).read_bytes() if Path(path).stat().st_size <= MAX_BYTES else b""
    except OSError:
        return ""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return ""
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"

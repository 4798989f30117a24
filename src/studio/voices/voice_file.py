"""The file voice.yaml in the folder of a voice: what its user set about it, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import translate_write_errors
from core.files import write_text
from core.yaml_io import dump_yaml, read_yaml

VOICE_FILE = "voice.yaml"

# Any: plain data of the file


def read_voice_entries(folder: Path) -> dict[str, Any]:
    """Return the entries of a voice; none without a file, and for one that cannot be read."""
    path = folder / VOICE_FILE
    if not path.is_file():
        return {}
    try:
        content = read_yaml(path)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def write_voice_entry(folder: Path, name: str, value: Any) -> None:
    """Replace one entry of a voice; an empty value removes it. The other entries stay."""
    content = {**read_voice_entries(folder), name: value}
    if not value:
        del content[name]
    path = folder / VOICE_FILE
    with translate_write_errors(path):
        if content:
            write_text(path, dump_yaml(content))
        else:
            path.unlink(missing_ok=True)

"""A voice as one file NAME.voice.zip: clips, transcripts, consent note, tags, effects, latents."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.files import atomic_path
from core.paths import CONSENT_FILE, ProjectPaths, fold_name, quote_for_message, validate_name
from studio.voices.catalog import AUDIO_SUFFIXES, LATENTS_FILE, Voice, find_voice
from studio.voices.trash import get_new_voice_folder
from studio.voices.uploads import TRANSCRIPT_SUFFIXES
from studio.voices.voice_file import VOICE_FILE

SUFFIX = ".voice.zip"
MANIFEST = "testudo-voice.json"
FORMAT_VERSION = 1
MAX_FILES = 2_000
MAX_BYTES = 4_000_000_000


def export_voice(layout: ProjectPaths, name: str, folder: Path) -> Path:
    """Write a voice into `folder`, and return the file."""
    voice = find_voice(layout, name)
    files = [
        path
        for path in sorted(voice.folder.iterdir())
        if _is_part(path.name) and path.is_file() and not path.is_symlink()
    ]
    path = folder / f"{voice.name}{SUFFIX}"
    manifest = {"format": FORMAT_VERSION, "name": voice.name}
    with translate_write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part, zipfile.ZipFile(part, "w", strict_timestamps=False) as file:
            file.writestr(MANIFEST, json.dumps(manifest))
            for source in files:
                file.write(source, source.name)
    return path


def import_voice_zip(layout: ProjectPaths, archive: Path, name: str = "") -> Voice:
    """Create a voice from a file.  name: "" for the name in the file.

    Raises AppError, and creates nothing, for a name that is taken, and for a file with anything
    but the parts of a voice.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            items = _check_items(file)
            folder = get_new_voice_folder(layout, name.strip() or _read_name(file))
            with translate_write_errors(folder):
                _extract(file, items, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as cause:
        raise AppError(f"{archive.name} is damaged or not a zip file: {cause}.") from cause
    return find_voice(layout, folder.name)


def _is_part(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    kept = (CONSENT_FILE, LATENTS_FILE, VOICE_FILE)
    return name in kept or suffix in (*AUDIO_SUFFIXES, *TRANSCRIPT_SUFFIXES)


def _read_name(file: zipfile.ZipFile) -> str:
    try:
        manifest = json.loads(file.read(MANIFEST))
        version, name = manifest["format"], str(manifest["name"])
    except (ValueError, KeyError, TypeError) as cause:
        raise AppError("This zip file is not a voice. Choose one that ends in .voice.zip.") from (
            cause
        )
    if version != FORMAT_VERSION:
        raise AppError(f"This voice has format {version}; {FORMAT_VERSION} can be imported.")
    return validate_name(name, "voice")


def _check_items(file: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    items = [item for item in file.infolist() if item.filename != MANIFEST]
    for item in items:
        validate_name(item.filename, "clip")
        if not _is_part(item.filename):
            raise AppError(f"{quote_for_message(item.filename)} is no part of a voice.")
    if len({fold_name(item.filename) for item in items}) < len(items) or len(items) > MAX_FILES:
        raise AppError("The files of this voice have the same name twice, or are too many.")
    if sum(item.file_size for item in items) > MAX_BYTES:
        raise AppError(f"This voice has more than {MAX_BYTES / 1e9:.0f} GB.")
    if not any(_is_sound(item.filename) for item in items):
        raise AppError("This voice has no clips and no latents.")
    return items


def _is_sound(name: str) -> bool:
    return name == LATENTS_FILE or Path(name).suffix.lower() in AUDIO_SUFFIXES


def _extract(file: zipfile.ZipFile, items: list[zipfile.ZipInfo], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=folder.parent) as place:
        whole = Path(place) / "voice"
        whole.mkdir()
        for item in items:
            with file.open(item) as source, (whole / item.filename).open("wb") as target:
                shutil.copyfileobj(source, target)
        whole.rename(folder)

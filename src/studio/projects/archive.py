"""A project as one file: its clip, its lines with text, voices and settings, and their takes.

testudo-project.json            format, name, file name of the clip
lines.csv                       a readable list: number, voice, seed, seconds, text, file
clip/00003-hello.wav            the joined clip
lines/                          lines.json and the takes
consent/alice.yaml              the consent note of each voice
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.files import atomic_path, unique_path
from core.paths import CONSENT_FILE, ProjectPaths, find_same_name, quote_for_message, slugify
from core.serialization import to_dict
from studio.history.file_groups import FileGroups
from studio.projects.store import (
    FORMAT_VERSION,
    PROJECT_FILE,
    Project,
    check_project_name,
    rename_project,
)
from studio.schemas.speech import AUDIO_FORMATS
from studio.synthesis.line_takes import LINES_FILE, LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath, find_clip_path
from studio.voices.catalog import get_results_folder_name, parse_blend
from studio.voices.consent import read_consent

MANIFEST = "testudo-project.json"
LIST_FILE = "lines.csv"
MAX_FILES = 30_000
MAX_BYTES = 20_000_000_000
_NO_PROJECT = "This zip file is not a project. Choose one that was exported from Projects."


def export_project(layout: ProjectPaths, project: Project, folder: Path) -> Path:
    """Write a project into a new zip file in `folder`, and return the file."""
    clip = OutputPath(clip_path=find_clip_path(layout, project.ref))
    lines = read_line_takes(clip)
    if lines is None or not lines.finished:
        raise AppError("This project is not finished yet. Resume its job first.")
    files = sorted(path for path in clip.lines_folder.iterdir() if _is_take(path.name))
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    path = unique_path(folder / f"testudo-project-{slugify(project.name)}-{stamp}.zip")
    manifest = {"format": FORMAT_VERSION, "name": project.name, "clip": clip.clip_path.name}
    with translate_write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part, zipfile.ZipFile(part, "w", strict_timestamps=False) as file:
            file.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False))
            file.writestr(LIST_FILE, _format_list(lines))
            file.write(clip.clip_path, f"clip/{clip.clip_path.name}")
            file.writestr(f"lines/{LINES_FILE}", _format_lines(lines))
            for source in files:
                file.write(source, f"lines/{source.name}")
            _write_consent_notes(file, layout, lines)
    return path


def import_project(layout: ProjectPaths, archive: Path) -> str:
    """Add the project of a file to the results, and return its ref.

    Raises AppError, and adds nothing, for a file with anything but the parts of a project.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            name, clip_name = _read_manifest(file)
            items = _check_items(file, clip_name)
            with translate_write_errors(layout.results):
                return _extract(file, items, layout, name, clip_name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as cause:
        raise AppError(f"{archive.name} is damaged or not a zip file: {cause}.") from cause


def _extract(
    file: zipfile.ZipFile,
    items: list[zipfile.ZipInfo],
    layout: ProjectPaths,
    name: str,
    clip_name: str,
) -> str:
    layout.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=layout.results) as place:
        found = OutputPath(clip_path=Path(place) / clip_name)
        found.lines_folder.mkdir()
        for item in items:
            part = PurePosixPath(item.filename)
            folder = found.lines_folder if part.parts[0] == "lines" else Path(place)
            with file.open(item) as source, (folder / part.name).open("wb") as target:
                shutil.copyfileobj(source, target)
        lines = _read_lines(found)
        voice = layout.voice_results(get_results_folder_name(lines.request.voice))
        voice.mkdir(exist_ok=True)
        target_clip = OutputPath(clip_path=FileGroups().find_free_path(voice / clip_name))
        found.lines_folder.rename(target_clip.lines_folder)
        found.clip_path.rename(target_clip.clip_path)
    ref = target_clip.clip_path.relative_to(layout.results).as_posix()
    rename_project(layout, ref, name)
    return ref


def _read_lines(found: OutputPath) -> LineTakesFile:
    lines = read_line_takes(found)
    if lines is None or not lines.finished or not found.clip_path.is_file():
        raise AppError(_NO_PROJECT)
    missing = [
        take.file for take in lines.chosen_takes() if not (found.lines_folder / take.file).is_file()
    ]
    if missing:
        raise AppError(f"The project lacks the take {quote_for_message(missing[0])}. Export again.")
    return lines


def _read_manifest(file: zipfile.ZipFile) -> tuple[str, str]:
    """Return the name of a project and the file name of its clip."""
    try:
        manifest = json.loads(file.read(MANIFEST))
        version, name, clip = manifest["format"], str(manifest["name"]), str(manifest["clip"])
    except (ValueError, KeyError, TypeError) as cause:
        raise AppError(_NO_PROJECT) from cause
    if version != FORMAT_VERSION:
        raise AppError(f"This project has format {version}; {FORMAT_VERSION} can be imported.")
    if not _is_plain(clip) or not _is_audio(clip):
        raise AppError(_NO_PROJECT)
    return check_project_name(name), clip


def _check_items(file: zipfile.ZipFile, clip: str) -> list[zipfile.ZipInfo]:
    """Return the entries to extract; raise AppError for one that belongs to no project."""
    items = []
    for item in file.infolist():
        folder, _, name = item.filename.rpartition("/")
        is_take = folder == "lines" and (name == LINES_FILE or _is_take(name))
        if is_take or item.filename == f"clip/{clip}":
            items.append(item)
        elif item.filename not in (MANIFEST, LIST_FILE) and folder != "consent":
            raise AppError(f"{quote_for_message(item.filename)} is no part of a project.")
    if len(items) > MAX_FILES or len({item.filename.casefold() for item in items}) < len(items):
        raise AppError("The files of this project have the same name twice, or are too many.")
    if sum(item.file_size for item in items) > MAX_BYTES:
        raise AppError(f"This project has more than {MAX_BYTES / 1e9:.0f} GB.")
    return items


def _is_take(name: str) -> bool:
    is_sidecar = name.endswith(".json") and name not in (LINES_FILE, PROJECT_FILE)
    return _is_plain(name) and (_is_audio(name) or is_sidecar)


def _is_audio(name: str) -> bool:
    return Path(name).suffix.lower().lstrip(".") in AUDIO_FORMATS


def _is_plain(name: str) -> bool:
    return Path(name).name == name and name[:1] not in ("", ".") and "\\" not in name


def _format_lines(lines: LineTakesFile) -> str:
    """Return lines.json without the folder of this machine."""
    return json.dumps(
        to_dict(replace(lines, request=replace(lines.request, out=None))), ensure_ascii=False
    )


def _format_list(lines: LineTakesFile) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("line", "voice", "seed", "seconds", "text", "file"))
    for number, take in enumerate(lines.chosen_takes(), start=1):
        table.writerow((number, take.voice, take.seed, take.seconds, take.text, take.file))
    return text.getvalue()


def _write_consent_notes(file: zipfile.ZipFile, layout: ProjectPaths, lines: LineTakesFile) -> None:
    names: set[str] = set()
    for take in lines.chosen_takes():
        with suppress(AppError):  # a random voice has no folder
            names.update(part.voice for part in parse_blend(take.voice))
    for name in sorted(names):
        folder = find_same_name(layout.voices, name)
        if read_consent(folder) is not None:
            file.write(folder / CONSENT_FILE, f"consent/{name}.yaml")

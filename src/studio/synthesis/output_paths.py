"""The names of generated files under results/<voice>/: the one place that makes and parses them.

    00001-hello.mp3                 the clip, joined from the takes of its lines
    00001-hello.candidate-2.mp3     its second-best candidate; 3 and more follow
    00001-hello.mp3.json            sidecar: the metadata of the file of that name
    00001-hello.mp3.words.json      when its words are spoken, if an aligner found it
    00001-hello.lines/              takes of its lines, always lossless; reserves the name
        001.flac                    line 1, best candidate
        001.candidate-2.flac        line 1, candidate 2; later takes are counted on
        lines.json                  which take of each line is used
    .00001.taken                    a process is about to reserve number 1

The option file_name gives other names: {voice}-{date} becomes alice-2026-01-31, and the next one
alice-2026-01-31-2.
The user may rename clips and put files of any other name there. Clips that differ only in their
suffix (00001-hello.wav) share one folder of lines: a take belongs to the clip of its own suffix,
else to the first in order of suffix (`find_owner_suffix`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message, slugify
from studio.schemas.speech import (
    AUDIO_FORMATS,
    DEFAULT_FILE_NAME,
    LOSSLESS_SUFFIXES,
    SpeechRequest,
)

LINES_DIR_SUFFIX = ".lines"
RANKS_PER_LINE = 1_000  # ranks of the candidates of one line
UNKNOWN_LINE_RANK = 1_000_000
_NUMBER_PREFIX = re.compile(r"(\d{5,9})-")
_RESERVATION_FILE = re.compile(r"\.(\d{5,9})\.taken")
_MAX_PADDED_NUMBER = 99_999
_CANDIDATE_STEM = re.compile(r"(?P<stem>.+)\.candidate-(?P<number>\d{1,3})")
_LINE_STEM = re.compile(r"(?P<line>\d{1,6})(?:\.candidate-(?P<number>\d{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPath:
    """The files of one request.

    Takes of lines are lossless whatever the format of the clip: they are joined again when an
    interrupted request is resumed or one of its lines is regenerated.
    """

    clip_path: Path

    @property
    def lines_folder(self) -> Path:
        """The folder with the takes of the lines."""
        return self.clip_path.with_name(f"{self.clip_path.stem}{LINES_DIR_SUFFIX}")

    def candidate_path(self, number: int) -> Path:
        """Return the file of candidate 1 (the clip itself), 2, …"""
        return _make_candidate_path(self.clip_path, number)

    def take_path(self, index: int, number: int = 1) -> Path:
        """Return the file of a take of a line. index: from 0;  number: of the candidate, from 1."""
        suffix = (
            self.clip_path.suffix if self.clip_path.suffix.lower() in LOSSLESS_SUFFIXES else ".flac"
        )
        return _make_candidate_path(self.lines_folder / f"{index + 1:03d}{suffix}", number)

    def reserve(self) -> bool:
        """Reserve the name; return False where another process was faster."""
        with translate_write_errors(self.lines_folder):
            self.clip_path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.lines_folder.mkdir()
            except FileExistsError:
                return False
        return True

    def release(self) -> None:
        """Release the name unless takes were stored under it."""
        with suppress(OSError):  # not empty, or deleted already
            self.lines_folder.rmdir()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFileRole:
    """Role of an audio file in its clip.

    stem: the path of the clip below the results without suffix; suffix: of this file; line: from 1;
    0 for the clip itself, -1 for another file in the folder of lines; candidate: from 1, the best.
    """

    stem: str
    suffix: str
    line: int = 0
    candidate: int = 1

    @property
    def rank(self) -> int:
        """The order of the files of a clip: the clip, its candidates, then line by line."""
        line = self.line if self.line >= 0 else UNKNOWN_LINE_RANK
        return line * RANKS_PER_LINE + self.candidate - 1


def parse_clip_path(path: str) -> ClipFileRole | None:
    """Parse a path below the results; None for a file that is not an audio file of a clip."""
    relative = PurePosixPath(path)
    suffix = relative.suffix
    if suffix.lower().lstrip(".") not in AUDIO_FORMATS:
        return None
    if any(part.startswith(".") for part in relative.parts) or not is_utf8_name(path):
        return None
    folder = relative.parent
    if folder.name.endswith(LINES_DIR_SUFFIX) and folder.name != LINES_DIR_SUFFIX:
        stem = str(folder.with_name(folder.name.removesuffix(LINES_DIR_SUFFIX)))
        line = _LINE_STEM.fullmatch(relative.stem)
        if line is None:
            return ClipFileRole(stem=stem, suffix=suffix, line=-1)
        number = int(line["number"] or 1)
        return ClipFileRole(stem=stem, suffix=suffix, line=int(line["line"]), candidate=number)
    candidate = _CANDIDATE_STEM.fullmatch(relative.stem)
    if candidate and int(candidate["number"]) > 1:
        stem = str(relative.with_name(candidate["stem"]))
        return ClipFileRole(stem=stem, suffix=suffix, candidate=int(candidate["number"]))
    return ClipFileRole(stem=path.removesuffix(suffix), suffix=suffix)


def find_owner_suffix(suffix: str, clips: Collection[str]) -> str:
    """Return the suffix of the clip that a take of a line belongs to.

    suffix: of the take;  clips: the suffixes of the clips of this stem; may be empty.
    """
    return suffix if suffix in clips or not clips else min(clips)


def is_utf8_name(name: str) -> bool:
    """Return whether a file name can be stored as text."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def get_next_output_path(layout: ProjectPaths, folder: str, text: str, format: str) -> OutputPath:
    """Return the next numbered file under results/<voice>/."""
    results = layout.voice_results(folder)
    number = _get_next_number(results)
    return OutputPath(clip_path=results / f"{number:05d}-{slugify(text)}.{format}")


def reserve_output_path(layout: ProjectPaths, folder: str, text: str, format: str) -> OutputPath:
    """Reserve the next numbered file under results/<voice>/; safe in several processes at once."""
    while True:
        wanted = get_next_output_path(layout, folder, text, format)
        number = wanted.clip_path.name.partition("-")[0]
        claim = wanted.clip_path.with_name(f".{number}.taken")
        with translate_write_errors(claim):
            claim.parent.mkdir(parents=True, exist_ok=True)
            try:
                claim.touch(exist_ok=False)
            except FileExistsError:
                continue
        try:  # another process may have used and released the number in the meantime
            finished = _find_numbers(wanted.clip_path.parent, _NUMBER_PREFIX)
            if int(number) not in finished and wanted.reserve():
                return wanted
        finally:
            claim.unlink(missing_ok=True)


def reserve_named_path(layout: ProjectPaths, folder: str, request: SpeechRequest) -> OutputPath:
    """Reserve the file under results/<voice>/ that the option file_name of a request names.

    A name that is taken gets a number behind it.
    """
    template, format = request.delivery.file_name.strip(), request.delivery.format
    if template in ("", DEFAULT_FILE_NAME):
        return reserve_output_path(layout, folder, request.text, format)
    while True:
        wanted = get_named_path(layout, folder, request)
        if not wanted.reserve():
            continue
        if not wanted.clip_path.exists():
            return wanted
        wanted.release()  # another process has used and released the name in the meantime


def get_named_path(layout: ProjectPaths, folder: str, request: SpeechRequest) -> OutputPath:
    """Return the free file under results/<voice>/ that the option file_name of a request names."""
    template, format = request.delivery.file_name.strip(), request.delivery.format
    if template in ("", DEFAULT_FILE_NAME):
        return get_next_output_path(layout, folder, request.text, format)
    results, now = layout.voice_results(folder), datetime.now()
    name = template.format(
        number=f"{_get_next_number(results):05d}",
        text=slugify(request.text),
        voice=slugify(folder),
        model=slugify(request.bundle),
        seed=request.seed,
        date=f"{now:%Y-%m-%d}",
        time=f"{now:%H%M%S}",
    ).strip()
    taken = {path.stem for path in results.glob("*")} if results.is_dir() else set()
    numbers = (f"{name}-{number}" for number in count(2))
    free = name if name not in taken else next(one for one in numbers if one not in taken)
    return OutputPath(clip_path=results / f"{free}.{format}")


def parse_output_path(out: str) -> OutputPath:
    """Return the output path of a file that the user named.

    Raises AppError for a folder and for an unknown suffix.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise AppError(f"{out} is a folder. Give the name of a file in it, as in hello.wav.")
    if path.suffix.lower().lstrip(".") not in AUDIO_FORMATS:
        raise AppError(
            f"{quote_for_message(path.name)} does not end in a format that can be written. "
            f"Choose one of: {', '.join('.' + name for name in AUDIO_FORMATS)}."
        )
    return OutputPath(clip_path=path)


def find_clip_path(layout: ProjectPaths, name: str) -> Path:
    """Return a clip by its path below the results.

    Raises AppError for a path that leads elsewhere and for a missing clip.
    """
    root = layout.results.resolve()
    try:
        path = (root / PurePosixPath(name)).resolve()
        fits = path.is_relative_to(root) and path.suffix.lower().lstrip(".") in AUDIO_FORMATS
        found = fits and not PurePosixPath(name).is_absolute() and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        found = False
    if not found:
        raise AppError(
            f"There is no clip {quote_for_message(name)} under the results. It may have been "
            "renamed or deleted; choose one from the History."
        )
    return layout.results / path.relative_to(root)


def list_recent_clips(layout: ProjectPaths, limit: int = 50) -> list[str]:
    """Return the newest clips as paths below the results, the newest first."""
    names = (path.relative_to(layout.results).as_posix() for path in layout.results.glob("*/*.*"))
    roles = ((name, parse_clip_path(name)) for name in names)
    clips = [name for name, role in roles if role is not None and role.rank == 0]
    times: dict[str, float] = {}
    for name in clips:
        with suppress(OSError):  # deleted in the meantime
            times[name] = (layout.results / name).stat().st_mtime
    return sorted(times, key=lambda name: -times[name])[:limit]


def get_clip_name(layout: ProjectPaths, path: Path) -> str:
    """Return the path of a clip below the results, as `find_clip_path` takes it; "" outside."""
    root = layout.results.resolve()
    absolute = path.resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else ""


def _get_next_number(results: Path) -> int:
    """Return the number after the highest one in use.

    Prefixes of more than five digits count only after 99,999: a file that the user put there may
    begin with a date (20240131-talk.wav).
    """
    used = _find_numbers(results, _NUMBER_PREFIX) | _find_numbers(results, _RESERVATION_FILE)
    padded = max((number for number in used if number <= _MAX_PADDED_NUMBER), default=0)
    return (padded if padded < _MAX_PADDED_NUMBER else max(used)) + 1


def _find_numbers(results: Path, pattern: re.Pattern[str]) -> set[int]:
    if not results.is_dir():
        return set()
    found = (pattern.match(path.name) for path in results.iterdir())
    return {int(match[1]) for match in found if match}


def _make_candidate_path(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}.candidate-{number}{path.suffix}")

"""The recordings of a dataset folder: which belong to whom, and why others are left out."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audio.formats import READABLE_SUFFIXES
from core.files import sha256_file

MAX_NAME_CHARACTERS = 100  # of a folder or file that is written for a speaker or recording
AUDIO_SUFFIXES = READABLE_SUFFIXES | {".mp4", ".sph", ".amr"}
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
PARTIAL_SUFFIXES = frozenset({".part", ".crdownload", ".partial", ".tmp", ".download", ".aria2"})
TEXT_SUFFIXES = frozenset({".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".md", ".html"})
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One audio file of a speaker; name: of its feature file, unique within the speaker."""

    path: Path
    speaker: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerFacts:
    """What the metadata of a dataset says about a speaker; gender: "female", "male" or None."""

    name: str = ""
    gender: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file (or folder) that no features are computed from, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The recordings found, what was left out, and remarks on files that were used anyway."""

    layout: str
    root: Path
    recordings: tuple[Recording, ...] = ()
    facts: Mapping[str, SpeakerFacts] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    used: tuple[Path, ...] = ()  # metadata and transcripts
    remarks: tuple[LeftOut, ...] = ()


def walk_files(root: Path) -> Iterator[Path]:
    """Yield every file below a folder in a fixed order; linked folders are not entered."""
    for parent, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            yield Path(parent) / name


def is_audio(path: Path) -> bool:
    """Return whether a file has a suffix of audio and is no leftover of a system."""
    return path.suffix.lower() in AUDIO_SUFFIXES and not _has_hidden_part(path.parts[-1:])


def explain_other_file(path: Path, root: Path) -> str:
    """Return why a file that is no recording of the layout is left out."""
    suffix = path.suffix.lower()
    if path.is_symlink() and not path.exists():
        return f"link to {path.readlink()}, which does not exist"
    if _has_hidden_part(path.relative_to(root).parts):
        return "hidden file, such as operating systems and caches leave behind"
    if suffix in ARCHIVE_SUFFIXES:
        return "archive; unpack it to use what it contains"
    if suffix in PARTIAL_SUFFIXES:
        return "unfinished download; download it again"
    if suffix in TEXT_SUFFIXES:
        return "text that belongs to no recording"
    return f"not an audio file ({suffix or 'no suffix'})"


def make_recordings(owned: Iterable[tuple[Path, str]], root: Path) -> tuple[Recording, ...]:
    """Name each (path, speaker): its path below `root` joined by "_", unique in its folder."""
    taken: dict[str, set[str]] = defaultdict(set)
    made = []
    for path, speaker in owned:
        stem = path.with_suffix("")
        relative = stem.relative_to(root) if stem.is_relative_to(root) else Path(stem.name)
        name = base = make_file_name("_".join(relative.parts))
        number = 1
        in_folder = taken[make_file_name(speaker)]
        while name.lower() in in_folder:
            number += 1
            name = f"{base}-{number}"
        in_folder.add(name.lower())
        made.append(Recording(path=path, speaker=speaker, name=name))
    return tuple(made)


def make_file_name(text: str) -> str:
    """Return a name for a file on any system: letters, digits, "_", "-" and "."."""
    name = _UNSAFE.sub("_", text).strip("._") or "unnamed"
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{name[: MAX_NAME_CHARACTERS - 13]}-{digest}"


def leave_out_duplicates(scan: Scan) -> Scan:
    """Leave out recordings whose file equals an earlier one byte for byte."""
    by_size: dict[int, list[Recording]] = defaultdict(list)
    for recording in scan.recordings:
        by_size[_get_size(recording.path)].append(recording)
    originals: dict[str, Recording] = {}
    copies: dict[Path, Recording] = {}
    for size, group in by_size.items():
        for recording in group if size > 0 and len(group) > 1 else ():
            digest = sha256_file(recording.path)
            if digest in originals:
                copies[recording.path] = originals[digest]
            else:
                originals[digest] = recording
    left_out = [_explain_copy(scan, path, original) for path, original in copies.items()]
    return replace(
        scan,
        recordings=tuple(item for item in scan.recordings if item.path not in copies),
        left_out=(*scan.left_out, *left_out),
    )


def merge_scans(scans: Sequence[Scan], root: Path, layout: str = "") -> Scan:
    """Join the scans of several datasets; speakers get the name of their dataset in front."""
    recordings: list[Recording] = []
    facts: dict[str, SpeakerFacts] = {}
    for scan in scans:
        prefix = make_file_name(scan.root.name)
        recordings += [
            replace(item, speaker=f"{prefix}_{item.speaker}") for item in scan.recordings
        ]
        facts |= {f"{prefix}_{speaker}": known for speaker, known in scan.facts.items()}
    return Scan(
        layout=layout or ", ".join(dict.fromkeys(scan.layout for scan in scans)),
        root=root,
        recordings=tuple(recordings),
        facts=facts,
        left_out=tuple(item for scan in scans for item in scan.left_out),
        used=tuple(item for scan in scans for item in scan.used),
        remarks=tuple(item for scan in scans for item in scan.remarks),
    )


def _explain_copy(scan: Scan, path: Path, original: Recording) -> LeftOut:
    speaker = next(item.speaker for item in scan.recordings if item.path == path)
    where = original.path.relative_to(scan.root) if original.path.is_relative_to(scan.root) else ""
    reason = f"the same recording as {where or original.path}"
    if speaker != original.speaker:
        reason += f", which is of speaker {original.speaker}; one of the two is labelled wrongly"
    return LeftOut(path=path, reason=reason)


def _get_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _has_hidden_part(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts) or parts[-1] in ("Thumbs.db", "desktop.ini")

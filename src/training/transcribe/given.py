"""Transcripts that came with the recordings: which file says what, and where it is said so.

Light, and before any network: what is malformed is refused while nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from training.manifest import WHISPER
from training.transcribe.base import Segment, TranscribeError, Transcript
from training.transcribe.lines import LISTS, match, read_list, shown
from training.transcribe.text import clean_text, read_text
from training.transcribe.timed import load_json, read_cues, read_json, transcript_of

SHOWN_PROBLEMS = 5
_BESIDE = (".json", ".vtt", ".srt", ".txt")  # the most telling first
_SOUND_FOLDERS = frozenset({"wavs", "wav", "audio", "clips"})
_LANGUAGE = re.compile(r"\.[a-z]{2,3}(?:-[A-Za-z]{2,4})?")

Named: TypeAlias = tuple[Path, str]  # a transcript, and the language in its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What came with one recording.

    source: where it stands, for people;  text: all of it;  told: with times, None where only the
    text of the whole recording is known.
    """

    source: str
    text: str
    told: Transcript | None = None
    language: str = ""

    def transcript(self, seconds: float) -> Transcript:
        """Return it for a recording of that length; without times it is one segment."""
        if self.told is not None:
            kept = (_within(segment, seconds) for segment in self.told.segments)
            return Transcript(
                segments=tuple(segment for segment in kept if segment is not None),
                language=self.language,
            )
        if not self.text:
            return Transcript(segments=(), language=self.language)
        whole = Segment(start_s=0.0, stop_s=seconds, text=self.text, confidence=1.0)
        return Transcript(segments=(whole,), language=self.language)


def find_given(folder: Path, files: Sequence[Path]) -> dict[Path, Given]:
    """Return what came with each of the recordings, for those that have something.

    folder: where the recordings were looked for.  A file beside a recording (clip.json, .vtt,
    .srt, .txt, also clip.en.srt) goes before a list of many (metadata.csv, train.txt, whisper.json,
    in `folder` or beside the recordings).  Raises TranscribeError telling all that is malformed.
    """
    found: dict[Path, Given] = {}
    problems: list[str] = []
    named = _by_name({file.parent for file in files})
    for file in files:
        try:
            given = _beside(file, named)
        except TranscribeError as error:
            problems.append(str(error))
            continue
        if given is not None:
            found[file] = given
    stems = {file.stem.casefold() for file in files}
    for path in _lists(folder, files):
        if path.stem.casefold() in stems and path.suffix == ".txt":
            continue  # the text of a recording of that name
        try:
            told = _of_list(path, files)
        except TranscribeError as error:
            problems.append(str(error))
            continue
        found = {**told, **found}
    _refuse(problems)
    return found


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        rest = len(problems) - SHOWN_PROBLEMS
        more = f"\n… and {rest} more." if rest > 0 else ""
        raise TranscribeError("\n".join(problems[:SHOWN_PROBLEMS]) + more)


def _beside(file: Path, named: Mapping[Path, Sequence[Named]]) -> Given | None:
    """Read what lies beside a recording: clip.srt, clip.wav.srt or clip.en.srt for clip.wav."""
    there = [*named.get(file.with_suffix(""), ()), *named.get(file, ())]
    for path, language in sorted(there, key=lambda one: (_BESIDE.index(_suffix(one[0])), one)):
        given = _read(path, language)
        if given is not None:
            return given
    return None


def _by_name(folders: Collection[Path]) -> dict[Path, list[Named]]:
    """Return the transcripts in some folders, and the language in their names, by what they name.

    Each folder is listed once; there may be tens of thousands of clips.
    """
    named: dict[Path, list[Named]] = {}
    for folder in folders:
        for path in folder.iterdir():
            if _suffix(path) not in _BESIDE or not path.is_file():
                continue
            base = path.with_suffix("")
            named.setdefault(base, []).append((path, ""))
            if _LANGUAGE.fullmatch(base.suffix) and _suffix(path) != ".txt":
                about = base.with_suffix("")
                named.setdefault(about, []).append((path, base.suffix[1:3].lower()))
    return named


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _read(path: Path, language: str) -> Given | None:
    if _suffix(path) == ".txt":
        return Given(source=path.name, text=clean_text(read_text(path)))
    told = read_json(path) if _suffix(path) == ".json" else read_cues(path)
    return None if told is None else _timed(told, path.name, language)


def _timed(told: Transcript, source: str, language: str = "") -> Given:
    """What a transcript with times gives; what a person gave is taken for certain."""
    return Given(source=source, text=told.text, told=told, language=language or told.language)


def _lists(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Return the lists there are: in the folder, where recordings lie, and above wavs/."""
    inside = {file.parent for file in files} | {folder}
    above = {place.parent for place in inside if place.name.lower() in _SOUND_FOLDERS}
    places = sorted(inside | above)
    named = (place / name for place in places for name in (*LISTS, WHISPER))
    return [path for path in named if path.is_file()]


def _of_list(path: Path, files: Sequence[Path]) -> dict[Path, Given]:
    below = [file for file in files if file.is_relative_to(path.parent)]
    if path.name == WHISPER:
        return _of_whisper_json(path, below)
    try:
        matched = match(read_list(path), below, path.parent)
    except TranscribeError as error:
        named = str(error) if path.name in str(error) else f"{path.name}: {error}"
        raise TranscribeError(named) from error
    return {
        file: Given(source=f"{path.name}, line {line.number}", text=line.text)
        for file, line in matched.items()
    }


def _of_whisper_json(path: Path, files: Sequence[Path]) -> dict[Path, Given]:
    """Read {"clip.wav": {"text", "segments", "language"}, …}, as the dataset of a studio has it."""
    plain = load_json(path)
    if not isinstance(plain, dict):
        return {}
    found = {}
    for file in files:
        row = _row(plain, file, path.parent)
        told = transcript_of(row, f"{path.name}, {file.name}")
        if told is not None:
            found[file] = _timed(told, path.name)
    return found


def _row(plain: dict[str, Any], file: Path, place: Path) -> Any:  # Any: JSON
    """Return what is said of a file, by its path or by its name."""
    return plain.get(shown(file, place), plain.get(file.name))


def _within(segment: Segment, seconds: float) -> Segment | None:
    """Return the segment as far as it lies in the recording; None where it lies behind it."""
    if segment.start_s >= seconds:
        return None
    return Segment(
        start_s=segment.start_s,
        stop_s=min(segment.stop_s, seconds),
        text=segment.text,
        words=tuple(word for word in segment.words if word.start_s < seconds),
        confidence=1.0,
    )

"""Find existing transcripts of recordings. Light; malformed files are refused before any work."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from training.asr.base import WHISPER_FILE, Segment, TranscribeError, Transcript, clean_text
from training.asr.transcripts.lists import (
    LIST_FILE_NAMES,
    format_relative_path,
    match_lines_to_files,
    read_transcript_list,
)
from training.asr.transcripts.subtitles import (
    load_json,
    parse_transcript,
    read_subtitles,
    read_transcript_json,
)
from training.asr.transcripts.text_files import read_text

MAX_PROBLEMS_SHOWN = 5
_TRANSCRIPT_SUFFIXES = (".json", ".vtt", ".srt", ".txt")  # the most telling first
_AUDIO_FOLDERS = frozenset({"wavs", "wav", "audio", "clips"})
_LANGUAGE_SUFFIX = re.compile(r"\.[a-z]{2,3}(?:-[A-Za-z]{2,4})?")

TranscriptFile: TypeAlias = tuple[Path, str]  # a transcript, and the language in its name


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTranscript:
    """The transcript of one recording.

    source: its file, for messages. text: all of it. timed_transcript: None where only the text is
    known.
    """

    source: str
    text: str
    timed_transcript: Transcript | None = None
    language: str = ""

    def to_transcript(self, seconds: float) -> Transcript:
        """Return the transcript for a duration; without times it is one segment."""
        if self.timed_transcript is not None:
            kept = (
                _truncate_segment(segment, seconds) for segment in self.timed_transcript.segments
            )
            return Transcript(
                segments=tuple(segment for segment in kept if segment is not None),
                language=self.language,
            )
        if not self.text:
            return Transcript(segments=(), language=self.language)
        whole = Segment(start_s=0.0, stop_s=seconds, text=self.text, confidence=1.0)
        return Transcript(segments=(whole,), language=self.language)


def find_existing_transcripts(
    folder: Path, files: Sequence[Path]
) -> dict[Path, ExistingTranscript]:
    """Return the transcripts of recordings, for those that have one.

    folder: where the recordings were searched. A file beside a recording (clip.json, .vtt, .srt,
    .txt, also clip.en.srt) has precedence over a list (metadata.csv, train.txt, whisper.json, in
    `folder` or beside the recordings). Raises TranscribeError listing all malformed files.
    """
    found: dict[Path, ExistingTranscript] = {}
    problems: list[str] = []
    named = _index_sidecars({file.parent for file in files})
    for file in files:
        try:
            given = _read_sidecar(file, named)
        except TranscribeError as error:
            problems.append(str(error))
            continue
        if given is not None:
            found[file] = given
    stems = {file.stem.casefold() for file in files}
    for path in _find_lists(folder, files):
        if path.stem.casefold() in stems and path.suffix == ".txt":
            continue  # the text of a recording of that name
        try:
            listed = _read_from_list(path, files)
        except TranscribeError as error:
            problems.append(str(error))
            continue
        found = {**listed, **found}
    _raise_problems(problems)
    return found


def _raise_problems(problems: Sequence[str]) -> None:
    if problems:
        rest = len(problems) - MAX_PROBLEMS_SHOWN
        more = f"\n… and {rest} more." if rest > 0 else ""
        raise TranscribeError("\n".join(problems[:MAX_PROBLEMS_SHOWN]) + more)


def _read_sidecar(
    file: Path, named: Mapping[Path, Sequence[TranscriptFile]]
) -> ExistingTranscript | None:
    """Read the transcript beside a recording: clip.srt, clip.wav.srt or clip.en.srt."""
    there = [*named.get(file.with_suffix(""), ()), *named.get(file, ())]
    for path, language in sorted(
        there, key=lambda one: (_TRANSCRIPT_SUFFIXES.index(_get_suffix(one[0])), one)
    ):
        given = _read_transcript(path, language)
        if given is not None:
            return given
    return None


def _index_sidecars(folders: Collection[Path]) -> dict[Path, list[TranscriptFile]]:
    """Return the transcripts in some folders, with the language in their names, by recording.

    Each folder is listed once; there may be tens of thousands of clips.
    """
    named: dict[Path, list[TranscriptFile]] = {}
    for folder in folders:
        for path in folder.iterdir():
            if _get_suffix(path) not in _TRANSCRIPT_SUFFIXES or not path.is_file():
                continue
            base = path.with_suffix("")
            named.setdefault(base, []).append((path, ""))
            if _LANGUAGE_SUFFIX.fullmatch(base.suffix) and _get_suffix(path) != ".txt":
                about = base.with_suffix("")
                named.setdefault(about, []).append((path, base.suffix[1:3].lower()))
    return named


def _get_suffix(path: Path) -> str:
    return path.suffix.lower()


def _read_transcript(path: Path, language: str) -> ExistingTranscript | None:
    if _get_suffix(path) == ".txt":
        return ExistingTranscript(source=path.name, text=clean_text(read_text(path)))
    transcript = (
        read_transcript_json(path) if _get_suffix(path) == ".json" else read_subtitles(path)
    )
    return None if transcript is None else _from_timed_transcript(transcript, path.name, language)


def _from_timed_transcript(
    transcript: Transcript, source: str, language: str = ""
) -> ExistingTranscript:
    return ExistingTranscript(
        source=source,
        text=transcript.text,
        timed_transcript=transcript,
        language=language or transcript.language,
    )


def _find_lists(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Return the lists in the folder, beside the recordings, and above wavs/."""
    inside = {file.parent for file in files} | {folder}
    above = {place.parent for place in inside if place.name.lower() in _AUDIO_FOLDERS}
    places = sorted(inside | above)
    named = (place / name for place in places for name in (*LIST_FILE_NAMES, WHISPER_FILE))
    return [path for path in named if path.is_file()]


def _read_from_list(path: Path, files: Sequence[Path]) -> dict[Path, ExistingTranscript]:
    below = [file for file in files if file.is_relative_to(path.parent)]
    if path.name == WHISPER_FILE:
        return _read_from_whisper_json(path, below)
    try:
        matched = match_lines_to_files(read_transcript_list(path), below, path.parent)
    except TranscribeError as error:
        named = str(error) if path.name in str(error) else f"{path.name}: {error}"
        raise TranscribeError(named) from error
    return {
        file: ExistingTranscript(source=f"{path.name}, line {line.number}", text=line.text)
        for file, line in matched.items()
    }


def _read_from_whisper_json(path: Path, files: Sequence[Path]) -> dict[Path, ExistingTranscript]:
    """Read {"clip.wav": {"text", "segments", "language"}, …}, as datasets have it."""
    plain = load_json(path)
    if not isinstance(plain, dict):
        return {}
    found = {}
    for file in files:
        row = _find_entry(plain, file, path.parent)
        transcript = parse_transcript(row, f"{path.name}, {file.name}")
        if transcript is not None:
            found[file] = _from_timed_transcript(transcript, path.name)
    return found


def _find_entry(plain: dict[str, Any], file: Path, place: Path) -> Any:  # Any: JSON
    return plain.get(format_relative_path(file, place), plain.get(file.name))


def _truncate_segment(segment: Segment, seconds: float) -> Segment | None:
    """Cut a segment off at the end of the recording; None where it starts behind it."""
    if segment.start_s >= seconds:
        return None
    return Segment(
        start_s=segment.start_s,
        stop_s=min(segment.stop_s, seconds),
        text=segment.text,
        words=tuple(word for word in segment.words if word.start_s < seconds),
        confidence=1.0,
    )

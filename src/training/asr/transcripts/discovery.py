"""Find existing transcripts of recordings. Light; malformed files are refused before any work."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from core.tables.columns import TablePreview
from core.tables.text_files import TextFileError, read_text
from training.asr.base import WHISPER_FILE, Segment, TranscribeError, Transcript, clean_text
from training.asr.transcripts.lists import (
    LIST_FILE_NAMES,
    TranscriptList,
    format_relative_path,
    match_lines_to_files,
    read_transcript_list,
)
from training.asr.transcripts.subtitles import Subtitles, read_labels, read_subtitles
from training.asr.transcripts.whisper_json import (
    load_json,
    parse_transcript,
    read_transcript_json,
)

MAX_PROBLEMS_SHOWN = 5
MAX_NOTES_SHOWN = 20
_TRANSCRIPT_SUFFIXES = (".json", ".vtt", ".srt", ".txt")  # the most telling first
_AUDIO_FOLDERS = frozenset({"wavs", "wav", "audio", "clips"})
_LANGUAGE_SUFFIX = re.compile(r"\.[a-z]{2,3}(?:-[A-Za-z]{2,4})?")

TranscriptFile: TypeAlias = tuple[Path, str]  # a transcript, and the language in its name


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTranscript:
    """The transcript of one recording.

    source: its file, for messages. text: all of it. timed_transcript: None where only the text is
    known. notes: lines that were left out.
    """

    source: str
    text: str
    timed_transcript: Transcript | None = None
    language: str = ""
    notes: tuple[str, ...] = field(default=(), repr=False)  # repr identifies the text

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTranscripts:
    """What a search found.

    by_file: the transcripts. notes: what was left out of them, with line numbers. lists: the lists
    that were read; one with a question was not used.
    """

    by_file: Mapping[Path, ExistingTranscript]
    notes: tuple[str, ...] = ()
    lists: tuple[TablePreview, ...] = ()


def find_existing_transcripts(
    folder: Path, files: Sequence[Path], columns: Mapping[str, str] = MappingProxyType({})
) -> dict[Path, ExistingTranscript]:
    """Return the transcripts of recordings, for those that have one.

    The arguments are those of `search_transcripts`. Raises TranscribeError also for a list whose
    columns are not clear.
    """
    found = search_transcripts(folder, files, columns)
    check_questions(found)
    return dict(found.by_file)


def search_transcripts(
    folder: Path, files: Sequence[Path], columns: Mapping[str, str] = MappingProxyType({})
) -> FoundTranscripts:
    """Search the transcripts of recordings, and what is not clear about them.

    folder: where the recordings were searched. columns: of lists, by role, as the user gave them. A
    file beside a recording (clip.json, .vtt, .srt, .txt, also clip.en.srt) has precedence over a
    list (metadata.csv, train.txt, whisper.json, in `folder` or beside the recordings). Raises
    TranscribeError listing all malformed files.
    """
    found: dict[Path, ExistingTranscript] = {}
    problems: list[str] = []
    named = _index_sidecars({file.parent for file in files})
    for file in files:
        try:
            given = _read_sidecar(file, named)
        except (TranscribeError, TextFileError) as error:
            problems.append(str(error))
            continue
        if given is not None:
            found[file] = given
    stems = {file.stem.casefold() for file in files}
    lists: list[TranscriptList] = []
    for path in _find_lists(folder, files):
        if path.stem.casefold() in stems and path.suffix == ".txt":
            continue  # the text of a recording of that name
        try:
            listed, read = _read_from_list(path, files, columns)
        except (TranscribeError, TextFileError) as error:
            problems.append(str(error) if path.name in str(error) else f"{path.name}: {error}")
            continue
        found = {**listed, **found}
        lists += [read] if read else []
    _raise_problems(problems)
    notes = [_describe_speakers(one) for one in lists if len(one.speakers) > 1]
    notes += [note for given in found.values() for note in given.notes]
    hidden = len(notes) - MAX_NOTES_SHOWN
    more = [f"… and {hidden} more lines were left out."] if hidden > 0 else []
    return FoundTranscripts(
        by_file=found,
        notes=(*notes[:MAX_NOTES_SHOWN], *more),
        lists=tuple(one.preview for one in lists),
    )


def _describe_speakers(read: TranscriptList) -> str:
    named = ", ".join(read.speakers[:MAX_PROBLEMS_SHOWN])
    more = ", …" if len(read.speakers) > MAX_PROBLEMS_SHOWN else ""
    return (
        f"{read.preview.name} names {len(read.speakers)} speakers: {named}{more}. A dataset should "
        "have one voice; put the recordings of each speaker into a folder of their own."
    )


def check_questions(found: FoundTranscripts) -> None:
    """Raise TranscribeError where the columns of a list are not clear."""
    _raise_problems(
        [
            f"{one.name}, line 1: {one.question}. Set columns, such as audio=1,text=2."
            for one in found.lists
            if one.question
        ]
    )


def _raise_problems(problems: Sequence[str]) -> None:
    if problems:
        rest = len(problems) - MAX_PROBLEMS_SHOWN
        more = f"\n… and {rest} more." if rest > 0 else ""
        raise TranscribeError("\n".join(problems[:MAX_PROBLEMS_SHOWN]) + more)


def _read_sidecar(
    file: Path, named: Mapping[str, Sequence[TranscriptFile]]
) -> ExistingTranscript | None:
    """Read the transcript beside a recording: clip.srt, clip.wav.srt or clip.en.srt."""
    there = [*named.get(_compose(file.with_suffix("")), ()), *named.get(_compose(file), ())]
    for path, language in sorted(
        there, key=lambda one: (_TRANSCRIPT_SUFFIXES.index(_get_suffix(one[0])), one)
    ):
        given = _read_transcript(path, language)
        if given is not None:
            return given
    return None


def _index_sidecars(folders: Collection[Path]) -> dict[str, list[TranscriptFile]]:
    """Return the transcripts in some folders, with the language in their names, by recording.

    Each folder is listed once; there may be tens of thousands of clips.
    """
    named: dict[str, list[TranscriptFile]] = {}
    for folder in folders:
        for path in folder.iterdir():
            if _get_suffix(path) not in _TRANSCRIPT_SUFFIXES or not path.is_file():
                continue
            base = path.with_suffix("")
            named.setdefault(_compose(base), []).append((path, ""))
            if _LANGUAGE_SUFFIX.fullmatch(base.suffix) and _get_suffix(path) != ".txt":
                about = base.with_suffix("")
                named.setdefault(_compose(about), []).append((path, base.suffix[1:3].lower()))
    return named


def _compose(path: Path) -> str:
    """Return a path with composed letters: a Mac may name clip and transcript differently."""
    return unicodedata.normalize("NFC", str(path))


def _get_suffix(path: Path) -> str:
    return path.suffix.lower()


def _read_transcript(path: Path, language: str) -> ExistingTranscript | None:
    suffix = _get_suffix(path)
    if suffix == ".json":
        transcript = read_transcript_json(path)
        return None if transcript is None else _from_timed(transcript, path.name, language)
    if suffix == ".txt":
        text = read_text(path)
        labels = read_labels(path.name, text)
        if labels is None:
            return ExistingTranscript(source=path.name, text=clean_text(text))
        return _from_subtitles(labels, path.name, language)
    return _from_subtitles(read_subtitles(path), path.name, language)


def _from_subtitles(read: Subtitles, source: str, language: str) -> ExistingTranscript:
    return replace(_from_timed(read.transcript, source, language), notes=read.notes)


def _from_timed(transcript: Transcript, source: str, language: str = "") -> ExistingTranscript:
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


def _read_from_list(
    path: Path, files: Sequence[Path], columns: Mapping[str, str]
) -> tuple[dict[Path, ExistingTranscript], TranscriptList | None]:
    below = [file for file in files if file.is_relative_to(path.parent)]
    if path.name == WHISPER_FILE:
        return _read_from_whisper_json(path, below), None
    listed = read_transcript_list(path, below, columns)
    matched = match_lines_to_files(listed.lines, below, path.parent)
    return {
        file: ExistingTranscript(source=f"{path.name}, line {line.number}", text=line.text)
        for file, line in matched.items()
    }, listed


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
            found[file] = _from_timed(transcript, path.name)
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

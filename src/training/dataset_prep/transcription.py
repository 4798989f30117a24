"""Transcripts of recordings, existing or computed, cached in whisper.json.

A recording is transcribed in chunks of two minutes, cut at pauses; each is cached when it is done,
so that interrupted work resumes there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from audio.long_audio import Recording
from core.files import write_json
from core.progress import ProgressEvent, ProgressReporter
from training.asr.base import (
    LANGUAGES_WITHOUT_SPACES,
    SAMPLE_RATE,
    WHISPER_FILE,
    Segment,
    Transcriber,
    Transcript,
    Word,
    to_single_line,
)
from training.asr.selection import TranscriptProvider
from training.asr.voice_activity import SpeechTimestamps, TimeSpan
from training.dataset_prep.manifest import SourceRow, read_json

CHUNK_S = 120.0  # transcribed at once
CHUNK_PADDING_S = 0.2  # of silence around it
SAVE_INTERVAL_S = 10.0
TIME_TOLERANCE_S = 0.01

# Any: whisper.json in its plain form.


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTranscript:
    """The transcript of a recording.

    is_given: it existed before. language: as configured, "" if it is not.
    """

    transcript: Transcript
    is_given: bool
    language: str = ""

    @property
    def word_separator(self) -> str:
        """The separator of words in the language."""
        return (
            "" if (self.language or self.transcript.language) in LANGUAGES_WITHOUT_SPACES else " "
        )


class TranscriptionService:
    """Returns the transcript of each recording, and caches computed ones."""

    def __init__(self, listener: TranscriptProvider, folder: Path, language: str) -> None:
        """Load the cache.  folder: of the dataset. language: a code or ""."""
        self.name = listener.name
        self._provider = listener
        self._folder = folder
        self._language = language
        machine = listener.transcriber
        self._transcriber_name = "" if machine is None else f"{machine.name} {language}".strip()
        self._cache = read_transcript_cache(folder)
        self._written_at = time.monotonic()

    def get_transcript_source(self, path: Path) -> str:
        """Return a name of the source of a transcript; it changes with the text."""
        given = self._provider.existing_transcripts.get(path)
        if given is not None:
            return f"given {hashlib.sha256(repr(given).encode()).hexdigest()[:12]}"
        return self._transcriber_name

    def needs_transcription(self, path: Path) -> bool:
        """Return whether a recording has to be transcribed."""
        return (
            path not in self._provider.existing_transcripts
            and self._provider.transcriber is not None
        )

    def get_transcript(
        self,
        recording: Recording,
        activity: SpeechTimestamps,
        path: Path,
        source: SourceRow,
        progress: Callable[[float], None],
        report: ProgressReporter,
    ) -> RecordingTranscript:
        """Return the transcript of a recording.  progress: called with the seconds done."""
        given, machine = self._provider.existing_transcripts.get(path), self._provider.transcriber
        if given is not None:
            transcript = given.to_transcript(recording.duration_s)
            return RecordingTranscript(
                transcript=transcript, is_given=True, language=self._language
            )
        if machine is None:
            return RecordingTranscript(transcript=Transcript(segments=()), is_given=True)
        begun = self._cache.get(source.path)
        if begun is None or not begun.is_valid_for(source, self._transcriber_name):
            begun = CachedTranscript(
                transcriber_name=self._transcriber_name,
                size=source.size,
                modified_ns=source.modified_ns,
                transcribed_s=0.0,
                transcript=Transcript(segments=()),
            )
        for entry in transcribe_recording(recording, activity, machine, begun, progress, report):
            self._cache[source.path] = entry
            if time.monotonic() - self._written_at > SAVE_INTERVAL_S:
                self.save_cache()
        entry = self._cache[source.path]
        return RecordingTranscript(
            transcript=entry.transcript, is_given=False, language=self._language
        )

    def save_cache(self) -> None:
        """Write the cache."""
        if self._cache:
            write_transcript_cache(self._folder, self._cache)
        self._written_at = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedTranscript:
    """The transcript of one recording so far.

    transcriber_name: its source. size, modified_ns: of the recording then. transcribed_s: how much
    is done.
    """

    transcriber_name: str
    size: int
    modified_ns: int
    transcribed_s: float
    transcript: Transcript

    def is_valid_for(self, source: SourceRow, by: str) -> bool:
        """Return whether it belongs to this file and transcriber."""
        now = (source.size, source.modified_ns, by)
        return (self.size, self.modified_ns, self.transcriber_name) == now


def read_transcript_cache(folder: Path) -> dict[str, CachedTranscript]:
    """Return the cached transcripts by recording; a damaged file counts as empty."""
    path = folder / WHISPER_FILE
    if not path.is_file():
        return {}
    plain = read_json(path)
    if not isinstance(plain, dict):
        return {}
    return {
        name: entry
        for name, row in plain.items()
        if (entry := _cache_entry_from_dict(row)) is not None
    }


def write_transcript_cache(folder: Path, entries: Mapping[str, CachedTranscript]) -> None:
    """Write whisper.json atomically."""
    content = {name: _cache_entry_to_dict(row) for name, row in entries.items()}
    write_json(folder / WHISPER_FILE, content, indent=None)


def transcribe_recording(
    recording: Recording,
    activity: SpeechTimestamps,
    transcriber: Transcriber,
    before: CachedTranscript,
    progress: Callable[[float], None],
    report: ProgressReporter,
) -> Iterator[CachedTranscript]:
    """Resume transcribing a recording, and yield all that is known after each chunk.

    The last one is complete. progress: called with the seconds done.
    """
    entry = before
    for start, stop in group_into_chunks(activity.spans, recording.duration_s):
        if stop <= before.transcribed_s + TIME_TOLERANCE_S:
            continue
        wave = recording.extract_clip(start, stop).resample(SAMPLE_RATE).wave
        told = transcriber.transcribe(wave, _make_chunk_reporter(start, stop, progress, report))
        segments = entry.transcript.segments + tuple(
            shift_segment(one, start) for one in told.segments
        )
        language = told.language or entry.transcript.language
        transcript = Transcript(segments=segments, language=language)
        entry = replace(entry, transcribed_s=stop, transcript=transcript)
        yield entry
    yield replace(entry, transcribed_s=recording.duration_s)


def group_into_chunks(spans: Sequence[TimeSpan], seconds: float) -> list[TimeSpan]:
    """Group spoken parts into chunks."""
    groups: list[TimeSpan] = []
    for start, stop in spans:
        if groups and stop - groups[-1][0] <= CHUNK_S:
            groups[-1] = (groups[-1][0], stop)
        else:
            groups.append((start, stop))
    if not groups:
        return []
    edges = [0.0, *((a[1] + b[0]) / 2 for a, b in pairwise(groups)), seconds]
    return [
        (max(left, start - CHUNK_PADDING_S), min(right, stop + CHUNK_PADDING_S))
        for (start, stop), (left, right) in zip(groups, pairwise(edges), strict=True)
    ]


def _make_chunk_reporter(
    start: float, stop: float, progress: Callable[[float], None], report: ProgressReporter
) -> ProgressReporter:
    """Return a reporter that converts the progress of a chunk to seconds of the recording."""

    def hear(event: ProgressEvent) -> None:
        if event.kind != "progress":
            report.emit(event)
        elif event.total:
            progress(start + (stop - start) * event.done / event.total)

    def is_stopped() -> bool:
        report.check_cancelled()
        return False

    return ProgressReporter(hear, is_stopped)


def shift_segment(segment: Segment, by_s: float) -> Segment:
    """Return the segment moved by a time."""
    words = tuple(
        Word(text=word.text, start_s=word.start_s + by_s, stop_s=word.stop_s + by_s)
        for word in segment.words
    )
    return replace(
        segment, start_s=segment.start_s + by_s, stop_s=segment.stop_s + by_s, words=words
    )


def _cache_entry_to_dict(entry: CachedTranscript) -> dict[str, Any]:
    """Convert to the JSON of Whisper, with our fields in "heard"."""
    segments = [
        {
            "start": round(one.start_s, 3),
            "end": round(one.stop_s, 3),
            "text": one.text,
            "confidence": one.confidence,
            "words": [
                {"word": word.text, "start": round(word.start_s, 3), "end": round(word.stop_s, 3)}
                for word in one.words
            ],
        }
        for one in entry.transcript.segments
    ]
    return {
        "text": entry.transcript.text,
        "language": entry.transcript.language,
        "segments": segments,
        "heard": {
            "by": entry.transcriber_name,
            "size": entry.size,
            "modified_ns": entry.modified_ns,
            "until": round(entry.transcribed_s, 3),
        },
    }


def _cache_entry_from_dict(plain: Any) -> CachedTranscript | None:
    try:
        facts = plain["heard"]
        segments = tuple(_segment_from_dict(one) for one in plain["segments"])
        return CachedTranscript(
            transcriber_name=str(facts["by"]),
            size=int(facts["size"]),
            modified_ns=int(facts["modified_ns"]),
            transcribed_s=float(facts["until"]),
            transcript=Transcript(segments=segments, language=str(plain["language"])),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _segment_from_dict(plain: Any) -> Segment:
    confidence = plain["confidence"]
    return Segment(
        start_s=float(plain["start"]),
        stop_s=float(plain["end"]),
        text=to_single_line(str(plain["text"])),
        words=tuple(
            Word(text=str(w["word"]), start_s=float(w["start"]), stop_s=float(w["end"]))
            for w in plain["words"]
        ),
        confidence=None if confidence is None else float(confidence),
    )

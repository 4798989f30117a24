"""What is said in each recording: given or heard, kept in whisper.json so that nothing is heard
twice.

A recording is heard in stretches of some two minutes, cut in its pauses; each is kept as soon as it
is heard, so that work that is cut off goes on there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from jobs.report import Event, Reporter
from speech.recordings import Recording
from training.manifest import WHISPER, SourceRow, Word, plain_text, read_json, write_json
from training.transcribe.base import RATE, UNSPACED, Segment, Transcriber, Transcript
from training.transcribe.choose import Listener
from training.voice_activity import Activity, Times

STRETCH_S = 120.0  # heard in one go
AROUND_S = 0.2  # of silence around it
KEPT_EVERY_S = 10.0
ROUNDED_S = 0.01

# Any: whisper.json in its plain form.


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said in a recording, and how far it may be trusted.

    is_given: it came with the recording;  language: as a person said, "" where nobody did.
    """

    transcript: Transcript
    is_given: bool
    language: str = ""

    @property
    def blank(self) -> str:
        """What stands between two words."""
        return "" if (self.language or self.transcript.language) in UNSPACED else " "


class Ears:
    """Says what is said in each recording, and remembers what was heard."""

    def __init__(self, listener: Listener, folder: Path, language: str) -> None:
        """Take up what was heard before.  folder: of the dataset;  language: a code or ""."""
        self.name = listener.name
        self._listener = listener
        self._folder = folder
        self._language = language
        machine = listener.machine
        self._machine = "" if machine is None else f"{machine.name} {language}".strip()
        self._heard = read_heard(folder)
        self._written_at = time.monotonic()

    def by(self, path: Path) -> str:
        """Name who says what is said in a recording; another name, another text."""
        given = self._listener.given.get(path)
        if given is not None:
            return f"given {hashlib.sha256(repr(given).encode()).hexdigest()[:12]}"
        return self._machine

    def is_machine(self, path: Path) -> bool:
        """Whether a recording has to be listened to."""
        return path not in self._listener.given and self._listener.machine is not None

    def said_in(
        self,
        recording: Recording,
        activity: Activity,
        path: Path,
        source: SourceRow,
        progress: Callable[[float], None],
        report: Reporter,
    ) -> Said:
        """Say what is said in a recording.  progress: told how many seconds were heard."""
        given, machine = self._listener.given.get(path), self._listener.machine
        if given is not None:
            told = given.transcript(recording.seconds)
            return Said(transcript=told, is_given=True, language=self._language)
        if machine is None:
            return Said(transcript=Transcript(segments=()), is_given=True)
        begun = self._heard.get(source.path)
        if begun is None or not begun.holds_for(source, self._machine):
            begun = Heard(
                by=self._machine, size=source.size, modified_ns=source.modified_ns, until_s=0.0,
                transcript=Transcript(segments=()),
            )  # fmt: skip
        for heard in hear_recording(recording, activity, machine, begun, progress, report):
            self._heard[source.path] = heard
            if time.monotonic() - self._written_at > KEPT_EVERY_S:
                self.keep()
        heard = self._heard[source.path]
        return Said(transcript=heard.transcript, is_given=False, language=self._language)

    def keep(self) -> None:
        """Write down what was heard."""
        if self._heard:
            write_heard(self._folder, self._heard)
        self._written_at = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is said in one recording so far.

    by: who said so;  size, modified_ns: of the recording then;  until_s: how much was heard.
    """

    by: str
    size: int
    modified_ns: int
    until_s: float
    transcript: Transcript

    def holds_for(self, source: SourceRow, by: str) -> bool:
        """Whether it is about this very file, from this very transcriber."""
        now = (source.size, source.modified_ns, by)
        return (self.size, self.modified_ns, self.by) == now


def read_heard(folder: Path) -> dict[str, Heard]:
    """Return what was heard, by recording; a damaged file counts as nothing heard."""
    path = folder / WHISPER
    if not path.is_file():
        return {}
    plain = read_json(path)
    if not isinstance(plain, dict):
        return {}
    return {name: heard for name, row in plain.items() if (heard := _heard_of(row)) is not None}


def write_heard(folder: Path, heard: Mapping[str, Heard]) -> None:
    """Write whisper.json, whole or not at all."""
    write_json(folder / WHISPER, {name: _plain(row) for name, row in heard.items()})


def hear_recording(
    recording: Recording,
    activity: Activity,
    transcriber: Transcriber,
    before: Heard,
    progress: Callable[[float], None],
    report: Reporter,
) -> Iterator[Heard]:
    """Hear a recording on from where it was left, and yield all that is known after each stretch.

    The last one yielded has heard everything.  progress: told how many seconds were heard.
    """
    heard = before
    for start, stop in stretches(activity.spans, recording.seconds):
        if stop <= before.until_s + ROUNDED_S:
            continue
        wave = recording.part(start, stop).resampled(RATE).wave
        told = transcriber.transcribe(wave, _within(start, stop, progress, report))
        segments = heard.transcript.segments + tuple(moved(one, start) for one in told.segments)
        language = told.language or heard.transcript.language
        transcript = Transcript(segments=segments, language=language)
        heard = replace(heard, until_s=stop, transcript=transcript)
        yield heard
    yield replace(heard, until_s=recording.seconds)


def stretches(spans: Sequence[Times], seconds: float) -> list[Times]:
    """Group stretches of speech into what is heard in one go."""
    groups: list[Times] = []
    for start, stop in spans:
        if groups and stop - groups[-1][0] <= STRETCH_S:
            groups[-1] = (groups[-1][0], stop)
        else:
            groups.append((start, stop))
    if not groups:
        return []
    edges = [0.0, *((a[1] + b[0]) / 2 for a, b in pairwise(groups)), seconds]
    return [
        (max(left, start - AROUND_S), min(right, stop + AROUND_S))
        for (start, stop), (left, right) in zip(groups, pairwise(edges), strict=True)
    ]


def _within(
    start: float, stop: float, progress: Callable[[float], None], report: Reporter
) -> Reporter:
    """Return a reporter for one stretch that tells how far it is in seconds of the recording."""

    def hear(event: Event) -> None:
        if event.kind != "progress":
            report.emit(event)
        elif event.total:
            progress(start + (stop - start) * event.done / event.total)

    def is_stopped() -> bool:
        report.check()
        return False

    return Reporter(hear, is_stopped)


def moved(segment: Segment, by_s: float) -> Segment:
    """Return the segment that much later."""
    words = tuple(
        Word(text=word.text, start_s=word.start_s + by_s, stop_s=word.stop_s + by_s)
        for word in segment.words
    )
    return replace(
        segment, start_s=segment.start_s + by_s, stop_s=segment.stop_s + by_s, words=words
    )


def _plain(heard: Heard) -> dict[str, Any]:
    """Return it as Whisper itself writes transcripts, with what is ours beside."""
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
        for one in heard.transcript.segments
    ]
    return {
        "text": heard.transcript.text,
        "language": heard.transcript.language,
        "segments": segments,
        "heard": {
            "by": heard.by,
            "size": heard.size,
            "modified_ns": heard.modified_ns,
            "until": round(heard.until_s, 3),
        },
    }


def _heard_of(plain: Any) -> Heard | None:
    try:
        facts = plain["heard"]
        segments = tuple(_segment_of(one) for one in plain["segments"])
        return Heard(
            by=str(facts["by"]),
            size=int(facts["size"]),
            modified_ns=int(facts["modified_ns"]),
            until_s=float(facts["until"]),
            transcript=Transcript(segments=segments, language=str(plain["language"])),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _segment_of(plain: Any) -> Segment:
    confidence = plain["confidence"]
    return Segment(
        start_s=float(plain["start"]),
        stop_s=float(plain["end"]),
        text=plain_text(str(plain["text"])),
        words=tuple(
            Word(text=str(w["word"]), start_s=float(w["start"]), stop_s=float(w["end"]))
            for w in plain["words"]
        ),
        confidence=None if confidence is None else float(confidence),
    )

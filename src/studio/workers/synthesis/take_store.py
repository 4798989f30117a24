"""Takes as files: written with their metadata, kept as each line is spoken, read back on resume."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from audio.clip import Clip, ClipError
from audio.encoders import find_audible_span
from audio.formats import SYNTHETIC_COMMENT
from audio.io import ClipLimits, read_clip, write_clip
from core.errors import reraise_as_app_error, translate_write_errors
from core.files import atomic_path
from core.progress import ProgressEvent, ProgressReporter
from core.serialization import to_dict
from engines.protocols import SpeechCandidate
from studio.schemas.speech import SpeechRequest, Take
from studio.schemas.take_metadata import LineOverride, TakeCheck, TakeMetadata
from studio.synthesis.audio_metadata import can_embed_metadata, write_metadata, write_sidecar
from studio.synthesis.chunking import TextChunk
from studio.synthesis.line_takes import (
    LineTakes,
    LineTakesFile,
    SavedTake,
    describe_checks,
    read_line_takes,
    write_line_takes,
)
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.retake import make_line_output_options
from studio.workers.synthesis.checked_takes import Attempt, choose_candidate, find_best_take
from studio.workers.synthesis.clip_editing import finish_clip
from studio.workers.synthesis.session import ChunkResult, SynthesisSession
from studio.workers.synthesis.voice_effects import apply_voice_effects

NO_CLIP_LIMITS = ClipLimits(shortest_s=0.0, min_peak=0.0)
NON_AUDIO_FIELDS = ("out", "device", "threads", "embed", "sidecar", "embed_latents", "like")
PROBE_BYTES = 4096  # enough for a full disk to refuse


class TakeStore:
    """The folder with the lines of one clip while the clip is spoken.

    A clip of one chunk needs no folder, unless it was retaken: its take is the clip.
    """

    def __init__(
        self, session: SynthesisSession, destination: OutputPath, chunks: Sequence[TextChunk]
    ) -> None:
        self.destination = destination
        self._session = session
        self._chunks = list(chunks)
        self._checks: list[TakeCheck | None] = []
        self.has_folder = len(chunks) > 1
        found = _find_resumable_lines(session, destination) if len(chunks) > 1 else None
        older = found.lines if found and len(found.lines) == len(chunks) else ()
        self._lines = LineTakesFile(
            suffix=destination.clip_path.suffix,
            request=replace(session.request, like=None),
            lines=tuple(
                LineTakes(
                    heard=chunk.line.spoken_text,
                    pause_s=chunk.pause_s,
                    lead_s=chunk.lead_s,
                    takes=older[chunk.index].takes if older else (),
                    chosen=older[chunk.index].chosen if older else "",
                )
                for chunk in chunks
            ),
        )

    def load(self, chunk: TextChunk) -> ChunkResult | None:
        """Return a chunk that was spoken earlier; None where it must be spoken."""
        line = self._lines.lines[chunk.index]
        if not line.takes:
            return None
        takes = line.takes_for_key(self._session.compute_take_key(chunk))
        kept = line.take(line.chosen) if takes and line.chosen else None
        if kept is not None and kept.check is not None:
            chunk = self._chunks[chunk.index] = _repeat_take(chunk, kept)
            takes = line.takes_for_key(kept.key)
        candidates = read_takes(self.destination, takes)
        if not takes or candidates is None:
            return None
        chosen = _get_preferred(chunk, takes).file
        self._lines = self._lines.with_chosen(chunk.index, chosen)
        self._report_take(chunk, takes)
        return ChunkResult(
            candidates=_put_preferred_first(chunk, candidates), warnings=takes[-1].warnings
        )

    def save(self, attempts: Sequence[Attempt]) -> ChunkResult:
        """Write the takes of a chunk, and return the best one as read from its file, so that
        resuming gives the same clip.
        """
        attempts = [apply_voice_effects(self._session, attempt) for attempt in attempts]
        number, place = find_best_take(attempts)
        chunk, result = choose_candidate(attempts[number], place), attempts[number].result
        self._chunks[chunk.index] = chunk
        self.has_folder = self.has_folder or len(attempts) > 1
        if not self.has_folder:
            self._checks = [attempts[number].checks[place]]
            return replace(result, candidates=_put_preferred_first(chunk, result.candidates))
        self._lines, written = write_attempts(
            self._session, self.destination, attempts, self._lines
        )
        write_line_takes(self.destination, self._lines)
        takes = written[number]
        candidates = read_takes(self.destination, takes) or result.candidates
        self._report_take(chunk, takes)
        return replace(result, candidates=_put_preferred_first(chunk, candidates))

    def get_line_overrides(self) -> tuple[LineOverride, ...]:
        """Return the lines that differ from what the request alone gives."""
        return tuple(
            chunk.line_override for chunk in self._chunks if chunk.line_override is not None
        )

    def takes_in_use(self) -> tuple[Take, ...]:
        """Return the take in use of every line; none for a clip without a folder."""
        if not self.has_folder:
            return ()
        return tuple(_make_take(self.destination, take) for take in self._lines.chosen_takes())

    def describe_words(self, candidate: SpeechCandidate) -> dict[str, Any]:
        """Return the fields of the metadata that say when each word of a joined clip is spoken."""
        if self.has_folder:
            return self._lines.describe_words()
        chunk, times = self._chunks[0], candidate.word_times
        if not times or chunk.lead_s or chunk.pause_s:
            return {}
        return {"heard": chunk.line.spoken_text, "word_times": times}

    def finish(self, record: TakeMetadata) -> None:
        """Write down that the combined clip is there, and its metadata."""
        if self.has_folder:
            record = replace(record, redone=self.get_line_overrides()).without_latents()
            self._lines = replace(self._lines, finished=True, record=record)
            write_line_takes(self.destination, self._lines)

    def list_checks(self) -> tuple[str, ...]:
        """Return what the checks of the takes found, in sentences."""
        if self.has_folder:
            return self._lines.list_checks()
        return describe_checks([self._checks], [0]) if self._checks else ()

    def _report_take(self, chunk: TextChunk, takes: Sequence[SavedTake]) -> None:
        first = _get_preferred(chunk, takes)
        ordered = [first, *(take for take in takes if take is not first)]
        saved = [_make_take(self.destination, take) for take in ordered]
        report_take(self._session.report, chunk, first.seconds, saved, len(self._chunks))


def write_attempts(
    session: SynthesisSession,
    destination: OutputPath,
    attempts: Sequence[Attempt],
    lines: LineTakesFile,
) -> tuple[LineTakesFile, list[list[SavedTake]]]:
    """Write the candidates of all attempts at a line; the best take is in use.

    Returns the lines with these takes, and the takes of each attempt.
    """
    number, place = find_best_take(attempts)
    written: list[list[SavedTake]] = []
    for attempt in attempts:
        written.append(_write_takes(session, destination, attempt, lines))
        lines = lines.with_takes(attempt.chunk.index, written[-1])
    return lines.with_chosen(attempts[0].chunk.index, written[number][place].file), written


def _write_takes(
    session: SynthesisSession, destination: OutputPath, attempt: Attempt, lines: LineTakesFile
) -> list[SavedTake]:
    """Write the candidates of an attempt beside the takes that its line has already."""
    chunk, result = attempt.chunk, attempt.result
    used = {take.file for line in lines.lines for take in line.takes}
    numbers = count(len(lines.lines[chunk.index].takes) + 1)
    paths = (destination.take_path(chunk.index, number) for number in numbers)
    free = (path for path in paths if path.name not in used and not path.exists())
    saved = []
    for number, candidate in enumerate(result.candidates, start=1):
        path = next(free)
        delivery = make_line_output_options(session.request.delivery, path.suffix)
        delivery = replace(delivery, duration=chunk.duration_s)
        record = session.build_chunk_metadata(chunk, result, number, delivery)
        write_take(candidate.clip, path, record, replace(session.request, delivery=delivery))
        saved.append(
            SavedTake(
                file=path.name,
                key=session.compute_take_key(chunk),
                text=chunk.line.text,
                heard=chunk.line.spoken_text,
                voice=chunk.line_plan.voice,
                options=to_dict(chunk.options),
                candidate=number,
                score=candidate.score,
                seconds=round(candidate.clip.duration_s, 3),
                warnings=result.warnings,
                anew=chunk.line_override is not None,
                check=attempt.checks[number - 1],
                duration_s=chunk.duration_s,
                likeness=attempt.likenesses[number - 1] if attempt.likenesses else None,
                audible=measure_audible_span(candidate.clip),
                word_times=candidate.word_times,
            )
        )
    return saved


def read_takes(destination: OutputPath, takes: Sequence[SavedTake]) -> list[SpeechCandidate] | None:
    """Read saved takes; None where a file is gone or damaged."""
    try:
        return [
            SpeechCandidate(
                clip=read_clip(destination.lines_folder / take.file, NO_CLIP_LIMITS),
                score=take.score,
                word_times=take.word_times,
            )
            for take in takes
        ]
    except ClipError:
        return None


def measure_audible_span(clip: Clip) -> tuple[float, float]:
    """Return the seconds between the silence at both ends of a clip."""
    span = find_audible_span(clip.wave.numpy(), clip.sample_rate)
    return round(span.start / clip.sample_rate, 4), round(span.stop / clip.sample_rate, 4)


def report_take(
    report: ProgressReporter, chunk: TextChunk, seconds: float, takes: Sequence[Take], total: int
) -> None:
    """Report a take that can be played, unless an earlier run of the same job reported it."""
    data = {
        "index": chunk.index,
        "text": chunk.line.spoken_text,
        "path": takes[0].path,
        "score": takes[0].score,
        "voice": chunk.line_plan.voice,
        "seed": chunk.options.seed,
        "seconds": round(seconds, 3),
        "pause_s": chunk.pause_s if total > 1 else 0.0,
        "lead_s": chunk.lead_s if total > 1 else 0.0,
        "is_last": chunk.index + 1 >= total,
        "candidates": [{"path": take.path, "score": take.score} for take in takes],
    }
    known = {(event.get("index"), event.get("path")) for event in report.previous_takes}
    if (chunk.index, takes[0].path) not in known:
        done = min(chunk.index + 1, total)
        report.emit(ProgressEvent(kind="take", stage="speaking", done=done, total=total, data=data))


def write_take(clip: Clip, path: Path, record: TakeMetadata, request: SpeechRequest) -> Take:
    """Write one take atomically, finished as the request asks for, with its metadata.

    Raises AppError when it cannot be written.
    """
    finished = finish_clip(clip, request.delivery)
    record = replace(
        record,
        duration_s=round(finished.duration_s, 3),
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    embed = request.embed and can_embed_metadata(path)
    with translate_write_errors(path), reraise_as_app_error(ClipError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part:
            write_clip(part, finished, SYNTHETIC_COMMENT, request.delivery.bit_depth)
            if embed:
                write_metadata(part, record)
    if request.sidecar or (request.embed and not embed):
        write_sidecar(path, record)
    return Take(path=str(path), score=record.score)


def check_can_write(path: Path) -> None:
    """Raise AppError now if the file could not be written after minutes of speaking."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    probe = folder / f".{path.stem[:50]}.{os.getpid()}.part"
    with translate_write_errors(path):
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)


def _find_resumable_lines(
    session: SynthesisSession, destination: OutputPath
) -> LineTakesFile | None:
    found = read_line_takes(destination)
    if found is None or not _is_same_request(found.request, session.request):
        return None
    return found if not found.finished or session.report.previous_takes else None


def _is_same_request(before: SpeechRequest, now: SpeechRequest) -> bool:
    old, new = to_dict(before), to_dict(now)
    return all(old[name] == new[name] for name in old if name not in NON_AUDIO_FIELDS)


def _repeat_take(chunk: TextChunk, take: SavedTake) -> TextChunk:
    """Return the chunk such that it asks for a saved take."""
    if not take.anew and take.candidate == 1:
        return chunk
    override = LineOverride(
        index=chunk.index,
        text=take.text,
        voice=take.voice,
        options=take.options,
        candidate=take.candidate,
        duration_s=take.duration_s,
    )
    options = replace(chunk.options, seed=take.seed)
    return replace(chunk, options=options, line_override=override)


def _make_take(destination: OutputPath, take: SavedTake) -> Take:
    return Take(path=str(destination.lines_folder / take.file), score=take.score)


def _preferred_index(chunk: TextChunk, count: int) -> int:
    number = chunk.line_override.candidate if chunk.line_override is not None else 1
    return number - 1 if 1 <= number <= count else 0


def _get_preferred(chunk: TextChunk, takes: Sequence[SavedTake]) -> SavedTake:
    return takes[_preferred_index(chunk, len(takes))]


def _put_preferred_first(
    chunk: TextChunk, candidates: Sequence[SpeechCandidate]
) -> list[SpeechCandidate]:
    at = _preferred_index(chunk, len(candidates))
    return [candidates[at], *candidates[:at], *candidates[at + 1 :]]

"""Synthesize a request chunk by chunk, save each take, and join them to one clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import soundfile

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.device import measure_peak_memory
from engines.protocols import SpeechCandidate
from studio.schemas.speech import SpeechRequest, SpeechResult, Take
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.chunking import TextChunk, get_token_budget, split_into_chunks
from studio.synthesis.output_paths import (
    OutputPath,
    get_named_path,
    parse_output_path,
    reserve_named_path,
)
from studio.synthesis.planning import list_text_notices, plan_lines
from studio.synthesis.retake import apply_line_overrides
from studio.voices.catalog import get_results_folder_name
from studio.voices.consent_reminders import take_consent_reminders
from studio.workers.synthesis.checked_takes import Attempt, synthesize_takes
from studio.workers.synthesis.clip_editing import concatenate_clips, require_memory_to_join
from studio.workers.synthesis.engine_cache import EngineCache, require_model_folder
from studio.workers.synthesis.session import ChunkResult, SynthesisSession
from studio.workers.synthesis.take_check import TakeChecker
from studio.workers.synthesis.take_store import (
    TakeStore,
    check_can_write,
    report_take,
    write_take,
)
from studio.workers.synthesis.voicefixer import describe_skipped_voicefixer, restore_clip


class Synthesizer:
    """Synthesizes requests and keeps the engine loaded between them."""

    def __init__(self, layout: ProjectPaths, *, can_download: bool = False) -> None:
        """can_download: whether voicefixer's weights may be downloaded on first use."""
        self._layout = layout
        self._can_download = can_download
        self._engine_cache = EngineCache(layout)
        self._take_checker = TakeChecker(layout.whisper)

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        """Synthesize a request and write its clips.

        Lines saved by an earlier, interrupted run of the same request are reused. Raises AppError,
        before anything is written, for an invalid request.
        """
        try:
            return self._speak(request, report)
        finally:
            if request.out is not None:  # the name may have been reserved by the request
                OutputPath(clip_path=Path(request.out).expanduser()).release()

    def _speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        plan = plan_lines(request, self._layout)
        require_model_folder(self._layout, request.bundle)
        check_can_write(_choose_output_path(request, self._layout, reserve=False).clip_path)
        session = self.open_session(request, report)
        require_memory_to_join(len(request.text), session.engine.sample_rate)
        budget = get_token_budget(session.engine)
        chunks = split_into_chunks(plan, budget, request)
        chunks = apply_line_overrides(chunks, request, budget, self._layout)
        for voice in dict.fromkeys(chunk.line_plan.voice for chunk in chunks):
            session.get_speaker_latents(voice, chunks[0].options)
        for reminder in take_consent_reminders(self._layout, session.speakers):
            report.warn(reminder)  # not in the metadata: it concerns the voice, not the clip
        for notice in list_text_notices(request):
            session.warn(notice)
        if request.like is not None:
            session.warn_about_differences(request.like)
        destination = _choose_output_path(request, self._layout, reserve=True)
        try:
            store = TakeStore(session, destination, chunks)
            _synthesize_chunks(session, chunks, store)
            return _write_clips(session, chunks, store, self._can_download)
        finally:
            destination.release()

    def open_session(self, request: SpeechRequest, report: ProgressReporter) -> SynthesisSession:
        """Load the engine for a request."""
        before = dict(report.timings)
        engine = self._engine_cache.get_engine(request, report)
        return SynthesisSession(
            request=request,
            layout=self._layout,
            engine=engine,
            environment=self._engine_cache.get_environment(),
            report=report,
            timings_before=before,
            take_checker=self._take_checker if request.delivery.take_check != "off" else None,
        )

    @property
    def take_checker(self) -> TakeChecker:
        """The recognizer that checks takes."""
        return self._take_checker

    def weights_id(self, request: SpeechRequest, report: ProgressReporter) -> str:
        """Return the id of the weights that the request uses."""
        return self._engine_cache.get_engine(request, report).weights_id


def _synthesize_chunks(
    session: SynthesisSession, chunks: list[TextChunk], store: TakeStore
) -> None:
    """Synthesize or reuse each chunk; each take is saved as soon as it is finished."""
    if len(chunks) > 1:
        session.report.emit(
            ProgressEvent(kind="progress", stage="speaking", done=0, total=len(chunks))
        )
    for chunk in chunks:
        session.report.check_cancelled()
        result = store.load(chunk)
        if result is None:
            result = _synthesize_chunk(session, chunk, store)
        session.chunks.append(result)


def _synthesize_chunk(session: SynthesisSession, chunk: TextChunk, store: TakeStore) -> ChunkResult:
    """Synthesize a chunk; stopped during a retake, the best take so far of a line is kept."""
    attempts: list[Attempt] = []
    try:
        for attempt in synthesize_takes(session, chunk):
            attempts.append(attempt)
    except Cancelled:
        if attempts and store.has_folder:
            store.save(attempts)
        raise
    return store.save(attempts)


def _write_clips(
    session: SynthesisSession, chunks: list[TextChunk], store: TakeStore, can_download: bool
) -> SpeechResult:
    request, report = session.request, session.report
    if skipped := describe_skipped_voicefixer(request, can_download=can_download):
        session.warn(skipped)
    checks = store.list_checks()
    saved: list[Take] = []
    seconds: list[float] = []
    for place, number in enumerate(_select_candidates(session), start=1):
        whole = concatenate_candidates(
            [result.candidates[number - 1] for result in session.chunks],
            request,
            [chunk.pause_s for chunk in chunks],
            chunks[0].lead_s,
            [chunk.duration_s > 0 for chunk in chunks],
        )
        clip = restore_clip(whole.clip, request, report, can_download=can_download)
        path = store.destination.candidate_path(place)
        record = session.build_metadata(whole.score, number)
        record = replace(record, redone=store.get_line_overrides(), checks=checks)
        if number == 1 or not store.has_folder:
            words = store.describe_words(session.chunks[0].candidates[number - 1])
            record = replace(record, **words)
        saved.append(write_take(clip, path, record, request))
        seconds.append(clip.duration_s)
    store.finish(replace(session.build_metadata(saved[0].score, 1), checks=checks))
    if not store.has_folder:
        report_take(report, chunks[0], seconds[0], saved, total=1)
    return SpeechResult(
        path=saved[0].path,
        voice=request.voice,
        text=request.text,
        heard=" ".join(chunk.line.spoken_text for chunk in chunks),
        seed=request.seed,
        seconds=round(seconds[0], 3),
        stages=session.measure_timings(),
        candidates=tuple(saved),
        lines=store.takes_in_use(),
        warnings=session.list_warnings(),
        peak_bytes=measure_peak_memory(session.environment.device),
        checks=checks,
    )


def _select_candidates(session: SynthesisSession) -> list[int]:
    numbers = list(range(1, min(len(result.candidates) for result in session.chunks) + 1))
    like = session.request.like
    wanted = like.candidate if like is not None else 1
    return [wanted] if wanted > 1 and wanted in numbers else numbers


def concatenate_candidates(
    candidates: list[SpeechCandidate],
    request: SpeechRequest,
    pauses: Sequence[float] | None,
    lead_s: float,
    exact: Sequence[bool] = (),
) -> SpeechCandidate:
    """Join one candidate of each chunk; the score of the whole is the mean of theirs.

    pauses, lead_s, exact: see concatenate_clips.
    """
    clips = [one.clip for one in candidates]
    clip = concatenate_clips(clips, request.delivery, pauses, lead_s, exact)
    scores = [one.score for one in candidates if one.score is not None]
    score = fmean(scores) if len(scores) == len(candidates) else None
    return SpeechCandidate(clip=clip, score=score)


def _check_not_a_recording(destination: OutputPath, layout: ProjectPaths) -> None:
    """Raise AppError where a file of the user would be overwritten; generated clips may be."""
    path = destination.clip_path
    if not path.exists() or not _is_audio(path):
        return
    is_reference = path.resolve().is_relative_to(layout.voices.resolve())
    is_generated = destination.lines_folder.is_dir() or _has_metadata(path)
    if is_reference or not is_generated:
        what = (
            "is a clip of a voice" if is_reference else "already exists and is not a generated clip"
        )
        raise AppError(
            f"{path} {what}.", code="name_taken", cli_hint="Choose another file with --out."
        )


def _has_metadata(path: Path) -> bool:
    try:
        read_metadata(path)
    except AppError:
        return False
    return True


def _is_audio(path: Path) -> bool:
    try:
        return bool(soundfile.info(path).frames > 0)
    except soundfile.LibsndfileError:
        return False


def _choose_output_path(
    request: SpeechRequest, layout: ProjectPaths, *, reserve: bool
) -> OutputPath:
    if request.out is not None:
        destination = parse_output_path(request.out)
        _check_not_a_recording(destination, layout)
        return destination
    choose = reserve_named_path if reserve else get_named_path
    return choose(layout, get_results_folder_name(request.voice), request)

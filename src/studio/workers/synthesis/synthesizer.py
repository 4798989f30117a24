"""Speaking a request: its lines one after another, each take kept, then all as one clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from audio.clip import Clip
from core.paths import ProjectPaths
from core.progress import ProgressEvent, ProgressReporter
from studio.schemas.speech import SpeechRequest, SpeechResult, Take
from studio.synthesis.chunking import TextChunk, get_token_budget, split_into_chunks
from studio.synthesis.output_paths import (
    OutputPath,
    get_next_output_path,
    parse_output_path,
    reserve_output_path,
)
from studio.synthesis.planning import plan_lines
from studio.synthesis.retake import apply_line_overrides
from studio.voices.catalog import get_results_folder_name
from studio.workers.synthesis.concatenate import concatenate_clips
from studio.workers.synthesis.engine_cache import EngineCache, require_model_folder
from studio.workers.synthesis.line_store import TakeStore, report_take
from studio.workers.synthesis.request_progress import RequestProgress
from studio.workers.synthesis.session import ClipCandidate, SynthesisSession
from studio.workers.synthesis.voicefixer import make_postprocessor
from studio.workers.synthesis.write_take import check_can_write, write_take


class Synthesizer:
    """Speaks requests one after another and keeps the engine warm between them."""

    def __init__(self, layout: ProjectPaths) -> None:
        self._layout = layout
        self._engine_cache = EngineCache(layout)

    def speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        """Speak a request and write its clips.

        Lines that an earlier, cut-off run of the same request has kept are read back. Raises
        StudioError, before anything is written, for whatever cannot be done.
        """
        try:
            return self._speak(request, report)
        finally:
            if request.out is not None:  # the name may have been reserved when it was asked for
                OutputPath(clip_path=Path(request.out).expanduser()).release()

    def _speak(self, request: SpeechRequest, report: ProgressReporter) -> SpeechResult:
        plan = plan_lines(request, self._layout)
        require_model_folder(self._layout, request.bundle)
        check_can_write(_get_expected_output_path(request, self._layout).clip_path)
        with self.session(request, report) as session:
            room = get_token_budget(session.engine)
            pieces = split_into_chunks(plan, room, request)
            pieces = apply_line_overrides(pieces, request, room, self._layout)
            for voice in dict.fromkeys(piece.line_plan.voice for piece in pieces):
                session.get_speaker_latents(voice, pieces[0].options)
            if request.like is not None:
                session.warn_about_differences(request.like)
            destination = _reserve_output_path(request, self._layout)
            store = TakeStore(session, destination, pieces)
            try:
                return _write_clips(
                    session, pieces, store, _synthesize_chunks(session, pieces, store)
                )
            finally:
                store.close()

    @contextmanager
    def session(
        self, request: SpeechRequest, report: ProgressReporter
    ) -> Iterator[SynthesisSession]:
        """Have the engine ready for a request, and write the minutes of what it says."""
        minutes = RequestProgress(report)
        try:
            engine = self._engine_cache.get_engine(request, minutes)
            yield SynthesisSession(
                request=request,
                layout=self._layout,
                engine=engine,
                environment=self._engine_cache.get_environment(),
                progress=minutes,
            )
        finally:
            minutes.close()

    def weights_id(self, request: SpeechRequest, report: ProgressReporter) -> str:
        """Name the weights that would speak the request."""
        return self._engine_cache.get_engine(request, report).weights_id


def _synthesize_chunks(
    session: SynthesisSession, pieces: list[TextChunk], store: TakeStore
) -> list[list[ClipCandidate]]:
    """Speak piece after piece, or read it back; each take is kept the moment it exists."""
    spoken = []
    if len(pieces) > 1:
        session.progress.emit(
            ProgressEvent(kind="progress", stage="speaking", done=0, total=len(pieces))
        )
    for piece in pieces:
        session.progress.check()
        versions = store.load_candidates(piece)
        if versions is None:
            versions = session.synthesize_chunk(piece)
            if len(pieces) > 1:
                versions = store.save_candidates(piece, versions)
        spoken.append(versions)
    return spoken


def _write_clips(
    session: SynthesisSession,
    pieces: list[TextChunk],
    store: TakeStore,
    spoken: list[list[ClipCandidate]],
) -> SpeechResult:
    """Join the pieces, best with best, and keep the whole clips."""
    request, minutes = session.request, session.progress
    kept: list[Take] = []
    seconds: list[float] = []
    restored = make_postprocessor(request, minutes)
    for place, number in enumerate(_select_candidates(request, spoken), start=1):
        whole = concatenate_candidates([versions[number - 1] for versions in spoken], request)
        whole = replace(whole, clip=restored(whole.clip))
        path = store.destination.candidate_path(place)
        record = replace(session.build_metadata(whole, number), redone=store.get_line_overrides())
        kept.append(write_take(whole.clip, path, record, request))
        seconds.append(whole.clip.duration_s)
    store.finish(session.build_metadata(ClipCandidate(clip=whole.clip, score=kept[0].score), 1))
    if len(pieces) == 1:
        report_take(minutes, pieces[0], seconds[0], kept, total=1)
    return SpeechResult(
        path=kept[0].path,
        voice=request.voice,
        text=request.text,
        heard=" ".join(piece.line.spoken_text for piece in pieces),
        seed=request.seed,
        seconds=round(seconds[0], 3),
        stages={name: round(spent, 3) for name, spent in minutes.timings.items()},
        candidates=tuple(kept),
        lines=store.takes_in_use(),
        warnings=tuple(minutes.warnings),
    )


def _select_candidates(request: SpeechRequest, spoken: list[list[ClipCandidate]]) -> list[int]:
    """Number the candidates to keep: all, or the one that shall be said again."""
    numbers = list(range(1, min(len(versions) for versions in spoken) + 1))
    again = request.like.candidate if request.like is not None else 1
    return [again] if again > 1 and again in numbers else numbers


def concatenate_candidates(versions: list[ClipCandidate], request: SpeechRequest) -> ClipCandidate:
    """Join one version of each piece; the score of the whole is the mean of theirs."""
    clip: Clip = concatenate_clips([version.clip for version in versions], request.delivery)
    scores = [version.score for version in versions if version.score is not None]
    return ClipCandidate(clip=clip, score=fmean(scores) if len(scores) == len(versions) else None)


def _get_expected_output_path(request: SpeechRequest, layout: ProjectPaths) -> OutputPath:
    if request.out is not None:
        return parse_output_path(request.out)
    folder = get_results_folder_name(request.voice)
    return get_next_output_path(layout, folder, request.text, request.delivery.format)


def _reserve_output_path(request: SpeechRequest, layout: ProjectPaths) -> OutputPath:
    if request.out is not None:
        return parse_output_path(request.out)
    folder = get_results_folder_name(request.voice)
    return reserve_output_path(layout, folder, request.text, request.delivery.format)

"""Speak a chunk, check the take, and take it again with other seeds until one passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from core.serialization import from_dict, to_dict
from studio.model_store.bundles import STARTER_MODEL
from studio.schemas.take_metadata import LineOverride, TakeCheck
from studio.synthesis.chunking import TextChunk
from studio.synthesis.planning import derive_take_seed
from studio.synthesis.preview import estimate_speech_s
from studio.workers.synthesis.session import ChunkResult, SynthesisSession
from studio.workers.synthesis.take_check import LIMITS, load_pronounce
from training.asr.base import TranscribeError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """One synthesis of a chunk.

    chunk: its options have the seed of this attempt;  checks: of the candidates in order, None
    where a candidate was not checked;  likenesses: of the candidates to the voice, () for none.
    """

    chunk: TextChunk
    result: ChunkResult
    checks: tuple[TakeCheck | None, ...]
    likenesses: tuple[float | None, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether a candidate passed the check."""
        return any(check is not None and check.passed for check in self.checks)


def synthesize_takes(session: SynthesisSession, chunk: TextChunk) -> Iterator[Attempt]:
    """Synthesize a chunk, and again with other seeds while the check finds faults.

    One attempt where the takes are not checked. The seeds follow from that of the chunk.
    """
    attempt = _attempt(session, chunk)
    yield attempt
    for number in range(2, session.request.delivery.retakes + 2):
        if attempt.passed or not any(attempt.checks):
            return
        attempt = _attempt(session, make_retake(chunk, number))
        yield attempt


def synthesize_grid(session: SynthesisSession, chunks: Sequence[TextChunk]) -> list[Attempt]:
    """Synthesize takes of a chunk to choose from, and check each of them."""
    return [
        _attempt(session, replace(chunk, reproduced=False), all_candidates=True)
        for chunk in session.report.track(chunks, "speaking")
    ]


def vary_settings(chunk: TextChunk, grid: Mapping[str, Sequence[Any]]) -> list[TextChunk]:
    """Return a chunk with every combination of values of its options. Any: values of options.

    Raises ValueError for an unknown option or an invalid value.
    """
    varied = []
    for values in product(*grid.values()):
        plain = {**to_dict(chunk.options), **dict(zip(grid, values, strict=True))}
        options = from_dict(type(chunk.options), plain)
        override = _describe_override(chunk, options, 1)
        varied.append(replace(chunk, options=options, line_override=override))
    return varied


def make_retake(chunk: TextChunk, number: int) -> TextChunk:
    """Return a chunk with the seed of its take of this number, which counts from 1."""
    options = replace(chunk.options, seed=derive_take_seed(chunk.options.seed, number))
    return replace(chunk, options=options, line_override=_describe_override(chunk, options, 1))


def find_best_take(attempts: Sequence[Attempt]) -> tuple[int, int]:
    """Return the indices of the attempt and the candidate to keep: the fewest errors, then first.

    Without checks it is the candidate that the chunk asks for.
    """
    checked = [
        (not check.passed, check.word_errors + len(check.faults), number, place)
        for number, attempt in enumerate(attempts)
        for place, check in enumerate(attempt.checks)
        if check is not None
    ]
    if checked:
        return min(checked)[2:]
    override = attempts[0].chunk.line_override
    wanted = override.candidate if override is not None else 1
    return 0, wanted - 1 if 1 <= wanted <= len(attempts[0].result.candidates) else 0


def choose_candidate(attempt: Attempt, place: int) -> TextChunk:
    """Return the chunk of an attempt such that it asks for the candidate at this index."""
    chunk, number = attempt.chunk, place + 1
    if chunk.line_override is not None:
        return replace(chunk, line_override=replace(chunk.line_override, candidate=number))
    if number == 1:
        return chunk
    return replace(chunk, line_override=_describe_override(chunk, chunk.options, number))


def _attempt(
    session: SynthesisSession, chunk: TextChunk, *, all_candidates: bool = False
) -> Attempt:
    session.report.check_cancelled()
    result = session.synthesize_chunk(chunk)
    checks: list[TakeCheck | None] = []
    if not chunk.reproduced:
        try:
            checks += _check_candidates(session, chunk, result, all_candidates)
        except TranscribeError as cause:
            session.take_checker = None
            session.warn(f"The takes are not checked: {cause}")
    unchecked = [None] * (len(result.candidates) - len(checks))
    return Attempt(chunk=chunk, result=result, checks=(*checks, *unchecked))


def _check_candidates(
    session: SynthesisSession, chunk: TextChunk, result: ChunkResult, all_candidates: bool
) -> list[TakeCheck]:
    """Check the candidates in order, until one passes or all; none without a checker."""
    checker, checks = session.take_checker, list[TakeCheck]()
    if checker is None:
        return checks
    bundles = (session.request.bundle, STARTER_MODEL)
    pronounce = load_pronounce(tuple(session.layout.model(name) for name in bundles))
    text = chunk.text if result.prompt_heard else chunk.said
    speed = getattr(chunk.options, "speed", 1.0)
    if chunk.duration_s:
        speed = estimate_speech_s(text) / chunk.duration_s
    with session.report.stage("checking"):
        for candidate in result.candidates:
            checks.append(
                checker.check(
                    candidate.clip,
                    text,
                    LIMITS.get(session.request.delivery.take_check, LIMITS["fast"]),
                    session.report,
                    pronounce=pronounce,
                    speed=speed,
                )
            )
            if checks[-1].passed and not all_candidates:
                break
    return checks


def _describe_override(chunk: TextChunk, options: object, candidate: int) -> LineOverride:
    return LineOverride(
        index=chunk.index,
        text=chunk.line.text,
        voice=chunk.line_plan.voice,
        options=to_dict(options),
        candidate=candidate,
        duration_s=chunk.duration_s,
    )

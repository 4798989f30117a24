"""A synthesis session: the engine, its speaker latents, finished chunks and their metadata."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import to_dict
from engines.protocols import (
    SpeechCandidate,
    SupportsAlignment,
    SupportsDurations,
    SupportsWordTimes,
    SynthesisWarning,
)
from engines.speaker_latents import SpeakerLatents
from studio.schemas.speech import OutputOptions, SpeechRequest
from studio.schemas.take_metadata import ComputeEnvironment, TakeMetadata
from studio.synthesis.chunking import TextChunk
from studio.synthesis.embedded_latents import CONSENT_KEY
from studio.voices.catalog import resolve_random_seed
from studio.voices.consent import read_consent, to_text
from studio.workers.synthesis.clip_editing import (
    fit_duration,
    join_audible_spans,
    locate_with_wav2vec2,
)
from studio.workers.synthesis.engine_cache import translate_engine_errors
from studio.workers.synthesis.latents_cache import ConditioningContext, get_speaker_latents
from studio.workers.synthesis.take_check import TakeChecker
from text.normalization.words import split_words
from text.pronunciations import apply_pronunciations

if TYPE_CHECKING:
    from engines.protocols import Engine

MIN_SPEED, MAX_SPEED = 0.5, 2.0  # of the option speed
UNNATURAL_SHARE = 0.25  # of a pace, from which it is said
KEY_VERSION = 2  # raised when the same facts come to mean another sound


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkResult:
    """A generated chunk.

    candidates: the best one first; prompt_heard: the prompt could not be cut out; took: seconds
    per stage; resolved_options: options whose value the engine chose itself (Any: each has its own
    type).
    """

    candidates: Sequence[SpeechCandidate]
    warnings: tuple[str, ...] = ()
    prompt_heard: bool = False
    took: Mapping[str, float] = field(default_factory=dict)
    resolved_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True, eq=False)
class SynthesisSession:
    """Everything that the chunks of one request share.

    chunks: what was spoken so far, in order;  warnings: those of the request as a whole;
    timings_before: `report.timings` when the request began;  take_checker: None for no check.
    """

    request: SpeechRequest
    layout: ProjectPaths
    engine: Engine
    environment: ComputeEnvironment
    report: ProgressReporter
    timings_before: Mapping[str, float]
    take_checker: TakeChecker | None = None
    speakers: dict[str, SpeakerLatents] = field(default_factory=dict)
    chunks: list[ChunkResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _warned_topics: set[str] = field(default_factory=set)

    def get_speaker_latents(self, voice: str, options: Any) -> SpeakerLatents:
        """Return the latents of a voice, read or computed once per request.

        options: the engine's own (Any: each engine has its own class).
        """
        if voice not in self.speakers:
            context = ConditioningContext(
                engine=self.engine,
                options=options,
                report=self.report,
                bundle=self.layout.model(self.request.bundle),
            )
            self.speakers[voice] = get_speaker_latents(voice, self.layout, context)
        return self.speakers[voice]

    def warn(self, message: str) -> None:
        """Report a warning that concerns the whole request, and keep it for the metadata."""
        self.report.warn(message)
        self.warnings.append(message)

    def warn_about_differences(self, like: TakeMetadata) -> None:
        """Warn about what has changed since the take that this request should reproduce."""
        now = self.environment
        changed = []
        if like.weights_id != self.engine.weights_id:
            changed.append(f"its weights were {like.weights_id} and are {self.engine.weights_id}")
        for voice, speaker in self.speakers.items():
            if like.speakers.get(voice, "") not in ("", speaker.content_id):
                changed.append(f"the clips of {voice!r} have changed")
        if like.machine.torch != now.torch or like.machine.device != now.device:
            changed.append(
                f"it was computed on {like.machine.device} with torch {like.machine.torch}, "
                f"now {now.device} with {now.torch}"
            )
        if changed:
            self.warn(f"This may sound different than before: {'; '.join(changed)}.")

    def synthesize_chunk(self, chunk: TextChunk) -> ChunkResult:
        """Synthesize one chunk, and cut out the prompt."""
        speaker = self.get_speaker_latents(chunk.line_plan.voice, chunk.options)
        before, known = dict(self.report.timings), self.resolved_options
        options = self._choose_pace(replace(chunk.options, **known), chunk, speaker)
        with translate_engine_errors(f"Chunk {chunk.index + 1}"):
            output = self.engine.synthesize(chunk.text, speaker, options, self.report)
        warnings = [one.message for one in output.warnings if not self._is_repeated(one)]
        candidates = [self._trim_prompt(one, chunk, speaker) for one in output.candidates]
        if None in candidates:
            prompt = " ".join(span.text for span in chunk.text_spans if not span.audible)
            warnings.append(
                f"The prompt {prompt!r} could not be found in the take, so they are "
                "still audible in it."
            )
        spoken = [
            trimmed or whole for trimmed, whole in zip(candidates, output.candidates, strict=True)
        ]
        if chunk.duration_s:
            spoken = self._fit_durations(spoken, chunk, options, warnings)
        else:
            spoken = self._add_word_times(spoken, chunk)
        for message in warnings:
            self.report.warn(message)
        return ChunkResult(
            candidates=spoken,
            warnings=tuple(warnings),
            prompt_heard=None in candidates,
            took=self._measure_timings(before),
            resolved_options={**known, **output.resolved_options},
        )

    @property
    def resolved_options(self) -> Mapping[str, Any]:  # Any: option values
        """Options chosen by the engine for earlier chunks; the next chunk starts with them."""
        return {name: value for one in self.chunks for name, value in one.resolved_options.items()}

    def measure_timings(self) -> dict[str, float]:
        """Return the seconds per stage since the request began."""
        return self._measure_timings(self.timings_before)

    def list_warnings(self) -> tuple[str, ...]:
        """Return the warnings of the request and of all its chunks, each once."""
        of_chunks = [message for chunk in self.chunks for message in chunk.warnings]
        return tuple(dict.fromkeys([*of_chunks, *self.warnings]))

    def build_metadata(self, score: float | None, candidate: int) -> TakeMetadata:
        """Describe how the whole request was spoken."""
        request = self.request
        return self._build_metadata(
            resolve_random_seed(request.voice, request.seed),
            {**request.options, **self.resolved_options},
            text=request.text,
            delivery=to_dict(request.delivery),
            score=score,
            candidate=candidate,
            took=self.measure_timings(),
            warnings=self.list_warnings(),
        )

    def build_chunk_metadata(
        self, chunk: TextChunk, result: ChunkResult, candidate: int, delivery: OutputOptions
    ) -> TakeMetadata:
        """Describe how one chunk was spoken, so that it can be spoken again by itself.

        candidate: counts from 1;  delivery: that of a line's take.
        """
        return self._build_metadata(
            chunk.line_plan.voice,
            {**to_dict(chunk.options), **result.resolved_options},
            text=chunk.line.text,
            delivery=to_dict(delivery),
            score=result.candidates[candidate - 1].score,
            candidate=candidate,
            took=result.took,
            warnings=result.warnings,
        )

    def compute_take_key(self, chunk: TextChunk) -> str:
        """Return the cache key of a take: a hash of all inputs of the chunk."""
        speaker = self.get_speaker_latents(chunk.line_plan.voice, chunk.options)
        facts = {
            "format": KEY_VERSION,
            "engine": self.request.engine,
            "weights": self.engine.weights_id,
            "text": chunk.line.text,
            **({"duration_s": chunk.duration_s} if chunk.duration_s else {}),
            **({"pronunciations": dict(chunk.pronunciations)} if chunk.pronunciations else {}),
            "speaker": speaker.content_id,
            "options": to_dict(chunk.options),
        }
        if effects := self.request.voice_effects.get(chunk.line_plan.voice):
            facts["effects"] = dict(effects)
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:24]

    def _build_metadata(
        self,
        voice: str,
        options: Mapping[str, Any],  # Any: option values
        **fields: Any,  # Any: the fields of TakeMetadata that differ
    ) -> TakeMetadata:
        return TakeMetadata(
            voice=voice,
            seed=int(options["seed"]),
            options=options,
            engine=self.request.engine,
            bundle=self.request.bundle,
            weights_id=self.engine.weights_id,
            speakers={name: speaker.content_id for name, speaker in self.speakers.items()},
            machine=self.environment,
            latents=self._encode_latents(voice) if self.request.embed_latents else None,
            pronunciations=self.request.pronunciations,
            speaker_voices=self.request.speaker_voices,
            voice_effects={
                name: chain
                for name, chain in self.request.voice_effects.items()
                if name in self.speakers
            },
            **fields,
        )

    def _encode_latents(self, voice: str) -> str | None:
        """Return the latents of a voice as base64, with the consent note of its folder."""
        own = self.speakers.get(voice)
        if own is None:
            return None
        notes = {}
        with suppress(AppError):  # a blend, or random, has no folder
            if note := read_consent(self.layout.voice(voice)):
                notes = {CONSENT_KEY: to_text(note)}
        return base64.b64encode(own.to_bytes(notes)).decode("ascii")

    def _trim_prompt(
        self, candidate: SpeechCandidate, chunk: TextChunk, speaker: SpeakerLatents
    ) -> SpeechCandidate | None:
        """Cut out the spans that only steer; None where they cannot be found."""
        spans = chunk.text_spans
        if all(span.audible for span in spans):
            return candidate
        texts = [span.text for span in spans]
        with self.report.stage("aligning"):
            starts = locate_with_wav2vec2(texts, candidate.clip, self.layout.whisper)
            if starts is None and isinstance(self.engine, SupportsAlignment):
                starts = self.engine.align(texts, candidate, speaker, self.report)
        clip = None if starts is None else join_audible_spans(candidate.clip, starts, spans)
        return None if clip is None else replace(candidate, clip=clip)

    def _choose_pace(self, options: Any, chunk: TextChunk, speaker: SpeakerLatents) -> Any:
        """Return the options with the speed at which the line will have its exact length.

        Any: the options of the engine.
        """
        if not chunk.duration_s or not isinstance(self.engine, SupportsDurations):
            return options
        with self.report.stage("aligning"), translate_engine_errors(f"Chunk {chunk.index + 1}"):
            seconds = self.engine.predict_duration(chunk.text, speaker, options)
        if seconds is None:
            return options
        speed = options.speed * seconds / chunk.duration_s
        return replace(options, speed=round(min(max(speed, MIN_SPEED), MAX_SPEED), 3))

    def _fit_durations(
        self,
        candidates: Sequence[SpeechCandidate],
        chunk: TextChunk,
        options: Any,  # Any: the options of the engine
        warnings: list[str],
    ) -> list[SpeechCandidate]:
        """Give each candidate the exact length of its line, and warn of an unnatural pace."""
        stretched = candidates[0].clip.duration_s / chunk.duration_s
        pace = stretched * getattr(options, "speed", 1.0) / getattr(chunk.options, "speed", 1.0)
        if abs(pace - 1) > UNNATURAL_SHARE:
            warnings.append(
                f"Line {chunk.index + 1} lasts {chunk.duration_s:g} s as asked for, at {pace:.0%} "
                "of its natural pace, which may sound unnatural."
            )
        with translate_engine_errors(f"Line {chunk.index + 1}"):
            return [
                replace(one, clip=fit_duration(one.clip, chunk.duration_s)) for one in candidates
            ]

    def _add_word_times(
        self, candidates: Sequence[SpeechCandidate], chunk: TextChunk
    ) -> list[SpeechCandidate]:
        """Add when each word is spoken, where the engine knows it and the clip was not cut."""
        engine, is_whole = self.engine, all(span.audible for span in chunk.text_spans)
        if not is_whole or not isinstance(engine, SupportsWordTimes):
            return list(candidates)
        words = [
            apply_pronunciations(word, chunk.pronunciations, phonemes=True)
            for word in split_words(chunk.line.spoken_text)
        ]
        found = [engine.locate_words(words, one) or () for one in candidates]
        return [
            replace(one, word_times=tuple(round(time, 3) for span in spans for time in span))
            for one, spans in zip(candidates, found, strict=True)
        ]

    def _is_repeated(self, warning: SynthesisWarning) -> bool:
        repeated = warning.topic in self._warned_topics
        if warning.topic:
            self._warned_topics.add(warning.topic)
        return repeated

    def _measure_timings(self, before: Mapping[str, float]) -> dict[str, float]:
        spent = {
            stage: round(seconds - before.get(stage, 0.0), 3)
            for stage, seconds in self.report.timings.items()
            if seconds != before.get(stage)
        }
        return spent

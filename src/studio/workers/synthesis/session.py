"""One request being spoken: the engine, the speakers it has heard, and the records of its takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from audio.clip import Clip
from core.paths import ProjectPaths
from core.serialization import to_dict
from engines.speaker_latents import SpeakerLatents
from studio.schemas.speech import OutputOptions, SpeechRequest
from studio.schemas.take_metadata import ComputeEnvironment, TakeMetadata
from studio.synthesis.chunking import TextChunk
from studio.synthesis.request_builder import output_options_to_dict
from studio.voices.catalog import resolve_random_seed
from studio.workers.synthesis.engine_cache import translate_engine_errors
from studio.workers.synthesis.latents_cache import ConditioningContext, get_speaker_latents
from studio.workers.synthesis.latents_codec import compute_latents_id, encode_latents
from studio.workers.synthesis.prompt_trimming import trim_prompt
from studio.workers.synthesis.request_progress import RequestProgress

if TYPE_CHECKING:
    from engines.protocols import Engine


KEY_VERSION = 1  # raised when the same facts come to mean another sound


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipCandidate:
    """One candidate: a clip, and what the engine ranked it by."""

    clip: Clip
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SynthesisSession:
    """All that the pieces of one request share."""

    request: SpeechRequest
    layout: ProjectPaths
    engine: Engine
    environment: ComputeEnvironment
    progress: RequestProgress
    speakers: dict[str, SpeakerLatents] = field(default_factory=dict)

    @property
    def weights_id(self) -> str:
        """Which weights speak."""
        return self.engine.weights_id

    def get_speaker_latents(
        self, voice: str, options: Any
    ) -> SpeakerLatents:  # Any: the engine's own options
        """Return the speaker for a voice, heard once per request."""
        if voice not in self.speakers:
            listening = ConditioningContext(
                engine=self.engine,
                weights_id=self.weights_id,
                options=options,
                report=self.progress,
                bundle=self.layout.model(self.request.bundle),
            )
            self.speakers[voice] = get_speaker_latents(voice, self.layout, listening)
        return self.speakers[voice]

    def warn_about_differences(self, like: TakeMetadata) -> None:
        """Warn of what has changed since the take that this request should equal."""
        now = self.environment
        changed = []
        if like.weights_id != self.weights_id:
            changed.append(f"its weights were {like.weights_id} and are {self.weights_id}")
        for voice, speaker in self.speakers.items():
            if like.speakers.get(voice, "") not in ("", compute_latents_id(speaker)):
                changed.append(f"the clips of {voice!r} are others")
        if like.machine.torch != now.torch or like.machine.device != now.device:
            changed.append(
                f"it was computed on {like.machine.device} with torch {like.machine.torch}, "
                f"now {now.device} with {now.torch}"
            )
        if changed:
            self.progress.warn(f"This may sound different than before: {'; '.join(changed)}.")

    def synthesize_chunk(self, piece: TextChunk) -> list[ClipCandidate]:
        """Speak one piece; its candidates, best first, without what only steers."""
        speaker = self.get_speaker_latents(piece.line_plan.voice, piece.options)
        options = replace(
            piece.options, **self.progress.resolved_options
        )  # what an earlier piece taught
        self.progress.scores = []
        with translate_engine_errors(f"Piece {piece.index + 1}"):
            clips = self.engine.synthesize(piece.text, speaker, options, self.progress)
        scores: list[float | None] = [*self.progress.scores, *[None] * len(clips)]
        return [
            ClipCandidate(
                clip=trim_prompt(
                    clip,
                    piece.text_spans,
                    self.engine,
                    speaker,
                    self.progress,
                    self.layout.whisper,
                ),
                score=score,
            )
            for clip, score in zip(clips, scores, strict=False)
        ]

    def build_metadata(self, version: ClipCandidate, candidate: int) -> TakeMetadata:
        """Write down how the whole request was spoken."""
        request = self.request
        return self._build_metadata(
            version,
            candidate,
            text=request.text,
            voice=resolve_random_seed(request.voice, request.seed),
            options=request.options,
            delivery=request.delivery,
        )

    def build_chunk_metadata(
        self, piece: TextChunk, version: ClipCandidate, candidate: int, delivery: OutputOptions
    ) -> TakeMetadata:
        """Write down how one piece was spoken, so that it can be spoken again by itself.

        delivery: that of a line's take.
        """
        return self._build_metadata(
            version,
            candidate,
            text=piece.line.text,
            voice=piece.line_plan.voice,
            options=to_dict(piece.options),
            delivery=delivery,
        )

    def compute_take_key(self, piece: TextChunk) -> str:
        """Name what a take of the piece follows from: equal keys, equal sound on one machine."""
        voice = piece.line_plan.voice
        facts = {
            "format": KEY_VERSION,
            "engine": self.request.engine,
            "weights": self.weights_id,
            "text": piece.line.text,
            "speaker": compute_latents_id(self.get_speaker_latents(voice, piece.options)),
            "options": to_dict(piece.options),
        }
        told = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(told.encode("utf-8")).hexdigest()[:24]

    def _build_metadata(
        self,
        version: ClipCandidate,
        candidate: int,
        *,
        text: str,
        voice: str,
        options: Mapping[str, Any],  # Any: knob values
        delivery: OutputOptions,
    ) -> TakeMetadata:
        request = self.request
        own = self.speakers.get(voice)
        return TakeMetadata(
            text=text,
            voice=voice,
            engine=request.engine,
            bundle=request.bundle,
            weights_id=self.weights_id,
            seed=int(options["seed"]),
            options={**options, **self.progress.resolved_options},
            delivery=output_options_to_dict(delivery),
            speakers={name: compute_latents_id(speaker) for name, speaker in self.speakers.items()},
            score=version.score,
            candidate=candidate,
            took={name: round(spent, 3) for name, spent in self.progress.timings.items()},
            machine=self.environment,
            warnings=tuple(self.progress.warnings),
            latents=encode_latents(own) if request.embed_latents and own is not None else None,
        )

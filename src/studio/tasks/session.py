"""One request being spoken: the engine, the speakers it has heard, and the records of its takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engines.conditioning import Conditioning
from jobs.plain import to_plain
from speech.clip import Clip
from studio.layout import Layout
from studio.pieces import Piece
from studio.requests import plain_delivery
from studio.speaking import Delivery, SpeakRequest
from studio.takes import Machine, TakeRecord
from studio.tasks.latents import content_id, packed
from studio.tasks.listen import Listening, listen_to
from studio.tasks.minutes import Minutes
from studio.tasks.steer import keep_heard
from studio.tasks.warm import working
from studio.voices import pin_random

if TYPE_CHECKING:
    from engines.base import Engine


KEY_FORMAT = 1  # raised when the same facts come to mean another sound


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Version:
    """One candidate: a clip, and what the engine ranked it by."""

    clip: Clip
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """All that the pieces of one request share."""

    request: SpeakRequest
    layout: Layout
    engine: Engine
    machine: Machine
    minutes: Minutes
    speakers: dict[str, Conditioning] = field(default_factory=dict)

    @property
    def weights_id(self) -> str:
        """Which weights speak."""
        return self.engine.weights_id

    def listen(self, voice: str, options: Any) -> Conditioning:  # Any: the engine's own options
        """Return the speaker for a voice, heard once per request."""
        if voice not in self.speakers:
            listening = Listening(
                engine=self.engine,
                weights_id=self.weights_id,
                options=options,
                report=self.minutes,
                bundle=self.layout.bundle(self.request.bundle),
            )
            self.speakers[voice] = listen_to(voice, self.layout, listening)
        return self.speakers[voice]

    def compare(self, like: TakeRecord) -> None:
        """Warn of what has changed since the take that this request should equal."""
        now = self.machine
        changed = []
        if like.weights_id != self.weights_id:
            changed.append(f"its weights were {like.weights_id} and are {self.weights_id}")
        for voice, speaker in self.speakers.items():
            if like.speakers.get(voice, "") not in ("", content_id(speaker)):
                changed.append(f"the clips of {voice!r} are others")
        if like.machine.torch != now.torch or like.machine.device != now.device:
            changed.append(
                f"it was computed on {like.machine.device} with torch {like.machine.torch}, "
                f"now {now.device} with {now.torch}"
            )
        if changed:
            self.minutes.warn(f"This may sound different than before: {'; '.join(changed)}.")

    def speak_piece(self, piece: Piece) -> list[Version]:
        """Speak one piece; its candidates, best first, without what only steers."""
        speaker = self.listen(piece.planned.voice, piece.options)
        options = replace(piece.options, **self.minutes.resolved)  # what an earlier piece taught
        self.minutes.scores = []
        with working(f"Piece {piece.index + 1}"):
            clips = self.engine.synthesize(piece.text, speaker, options, self.minutes)
        scores: list[float | None] = [*self.minutes.scores, *[None] * len(clips)]
        return [
            Version(
                clip=keep_heard(clip, piece.passages, self.engine, speaker, self.minutes),
                score=score,
            )
            for clip, score in zip(clips, scores, strict=False)
        ]

    def record(self, version: Version, candidate: int) -> TakeRecord:
        """Write down how the whole request was spoken."""
        request = self.request
        return self._record(
            version,
            candidate,
            text=request.text,
            voice=pin_random(request.voice, request.seed),
            options=request.options,
            delivery=request.delivery,
        )

    def record_of_piece(
        self, piece: Piece, version: Version, candidate: int, delivery: Delivery
    ) -> TakeRecord:
        """Write down how one piece was spoken, so that it can be spoken again by itself.

        delivery: that of a line's take.
        """
        return self._record(
            version,
            candidate,
            text=piece.line.text,
            voice=piece.planned.voice,
            options=to_plain(piece.options),
            delivery=delivery,
        )

    def key_of(self, piece: Piece) -> str:
        """Name what a take of the piece follows from: equal keys, equal sound on one machine."""
        voice = piece.planned.voice
        facts = {
            "format": KEY_FORMAT,
            "engine": self.request.engine,
            "weights": self.weights_id,
            "text": piece.line.text,
            "speaker": content_id(self.listen(voice, piece.options)),
            "options": to_plain(piece.options),
        }
        told = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(told.encode("utf-8")).hexdigest()[:24]

    def _record(
        self,
        version: Version,
        candidate: int,
        *,
        text: str,
        voice: str,
        options: Mapping[str, Any],  # Any: knob values
        delivery: Delivery,
    ) -> TakeRecord:
        request = self.request
        own = self.speakers.get(voice)
        return TakeRecord(
            text=text,
            voice=voice,
            engine=request.engine,
            bundle=request.bundle,
            weights_id=self.weights_id,
            seed=int(options["seed"]),
            options={**options, **self.minutes.resolved},
            delivery=plain_delivery(delivery),
            speakers={name: content_id(speaker) for name, speaker in self.speakers.items()},
            score=version.score,
            candidate=candidate,
            took={name: round(spent, 3) for name, spent in self.minutes.timings.items()},
            machine=self.machine,
            warnings=tuple(self.minutes.warnings),
            latents=packed(own) if request.embed_latents and own is not None else None,
        )

"""Requests to regenerate one line of a clip, and to rejoin a clip from selected takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audio.formats import BIT_DEPTHS
from core.errors import AppError
from core.paths import ProjectPaths
from studio.schemas.speech import (
    LOSSLESS_SUFFIXES,
    MAX_CHUNK_CHARS,
    OutputOptions,
    SpeechRequest,
    check_text,
)
from studio.schemas.take_metadata import LineOverride, TakeMetadata
from studio.synthesis.chunking import TextChunk, TokenBudget, split_into_chunks
from studio.synthesis.planning import plan_lines
from studio.voices.catalog import resolve_random_seed

MAX_NEW_TAKES = 10
GRID_SETTINGS, GRID_VALUES = 2, (2, 4)  # most settings of a grid; least and most values of each
CHUNKING_OPTIONS = ("delimiter", "piece_chars", "emotion", "prompt")  # of a delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class RegenerateLineRequest:
    """Regenerate one line of a clip, keep the older takes, and join the clip with the new one.

    clip: its path below the results; line: from 0; seed: None for a random one; text, voice: None
    keeps them; options: changed options of this take; takes: number of new takes, with seeds that
    follow from the first one, each checked and compared with its voice, the best in use; grid: up
    to two options with 2 to 4 values each, every combination a take with the same seed (None: that
    of the take in use), in place of `takes`. Any: values of options.
    """

    clip: str
    line: int
    seed: int | None = None
    text: str | None = None
    voice: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    takes: int = 1
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.text is not None:
            check_text(self.text)
        if not 1 <= self.takes <= MAX_NEW_TAKES:
            raise AppError(f"takes is {self.takes}; it must be from 1 to {MAX_NEW_TAKES}.")
        if len(self.grid) > GRID_SETTINGS:
            raise AppError("A grid has one or two settings. Leave the others out.")
        low, high = GRID_VALUES
        for values in self.grid.values():
            if not low <= len(set(map(repr, values))) == len(values) <= high:
                raise AppError(
                    f"A grid needs {low} to {high} values of each setting, no two of them the same."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RejoinClipRequest:
    """Join a clip again from takes that are there already; nothing is spoken.

    clip: its path below the results;  takes: number of a line, from 0, to the file name of the take
    that it shall use. Lines that are not named keep theirs.
    """

    clip: str
    takes: Mapping[str, str]

    def takes_by_line(self) -> Mapping[int, str]:
        """Return the takes by line number; raises AppError for an invalid line number."""
        odd = [line for line in self.takes if not line.isdecimal() or len(line) > 6]
        if odd:
            raise AppError(f"{odd[0]!r} is not a line number. Lines are counted from 0.")
        return {int(line): file for line, file in self.takes.items()}


def make_line_output_options(delivery: OutputOptions, suffix: str) -> OutputOptions:
    """Return the delivery of a line's take: as the engine spoke it, in a file that loses nothing.

    suffix: of the file. Rate, volume, loudness and fades are those of the whole clip, and applied
    when it is joined.
    """
    format = suffix[1:].lower() if suffix.lower() in LOSSLESS_SUFFIXES else "flac"
    return replace(
        delivery,
        emotion="none",
        prompt="",
        delimiter="",
        piece_chars=MAX_CHUNK_CHARS,  # it is one chunk already
        volume=1.0,
        loudness="off",
        fade_in_ms=0,
        fade_out_ms=0,
        output_rate=0,
        bit_depth=delivery.bit_depth if delivery.bit_depth in BIT_DEPTHS[format] else "16",
        take_check="off",
        duration=0.0,
        format=format,
    )


def make_override_chunk(
    redone: LineOverride, request: SpeechRequest, room: TokenBudget, layout: ProjectPaths
) -> TextChunk:
    """Return one line of a request as a single chunk.

    Raises AppError where its text is too long for one chunk, or invalid.
    """
    alone = replace(
        request,
        text=redone.text,
        voice=redone.voice,
        options=redone.options,
        delivery=replace(
            make_line_output_options(request.delivery, ".wav"), duration=redone.duration_s
        ),
        like=None,
    )
    pieces = split_into_chunks(plan_lines(alone, layout), room, alone)
    if len(pieces) > 1:
        raise AppError(
            f"The new text of line {redone.index + 1} would be split into {len(pieces)} chunks; "
            f"a line must be one chunk. Shorten it to about {len(pieces[0].line.spoken_text)} "
            "characters."
        )
    return replace(pieces[0], index=redone.index, line_override=redone)


def apply_line_overrides(
    pieces: Sequence[TextChunk], request: SpeechRequest, room: TokenBudget, layout: ProjectPaths
) -> list[TextChunk]:
    """Return the chunks with the regenerated lines of the clip to reproduce.

    They are ignored where the text or its chunks differ from that clip's.
    """
    like = request.like
    if like is None or not _has_same_chunks(request, like):
        return list(pieces)
    turned = {
        name: value for name, value in request.options.items() if value != like.options.get(name)
    }
    again = {
        redone.index: replace(redone, options={**redone.options, **turned})
        for redone in like.redone
    }
    return [
        replace(
            make_override_chunk(again[piece.index], request, room, layout),
            pause_s=piece.pause_s,
            lead_s=piece.lead_s,
            reproduced=True,
        )
        if piece.index in again
        else piece
        for piece in pieces
    ]


def _has_same_chunks(request: SpeechRequest, like: TakeMetadata) -> bool:
    same = all(
        getattr(request.delivery, name) == like.delivery.get(name) for name in CHUNKING_OPTIONS
    )
    voice = resolve_random_seed(request.voice, request.seed)
    same = same and dict(request.speaker_voices) == dict(like.speaker_voices)
    return same and (request.text, voice, request.seed) == (like.text, like.voice, like.seed)

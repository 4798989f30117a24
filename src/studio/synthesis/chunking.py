"""Split lines into chunks that fit into one engine call. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import AppError, reraise_as_app_error
from engines.protocols import SupportsTokenCount
from studio.schemas.speech import MAX_CHUNK_CHARS, SpeechRequest
from studio.schemas.take_metadata import LineOverride
from studio.synthesis.planning import LinePlan, TextSpan, derive_chunk_seed, split_text_spans
from text.pronunciations import apply_pronunciations, has_phonemes
from text.script import DURATION, ScriptLine, split_line

UNLIMITED_TOKENS = 1_000_000  # tokens; for an engine that does not measure texts
MAX_LENGTH_RATIO = 1.5  # a sentence may exceed the desired length by this factor


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBudget:
    """The text limit of an engine call: a number of tokens, and a function that counts them.

    reads_phonemes: groups of phonemes, {HH AH0 L OW1}, may be in a text.
    """

    limit: int = UNLIMITED_TOKENS
    count_tokens: Callable[[str], int] = len
    reads_phonemes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk:
    """The input of one engine call.

    index counts the chunks of the request from 0; options has the seed of the chunk; redone: the
    regenerated line, if any; pause_s, lead_s: seconds of silence behind and before the chunk;
    reproduced: the chunk repeats an earlier take, so that it is not checked and retaken;
    pronunciations: of words of the text, as the engine reads them; duration_s: exact length, 0 for
    as it is spoken.
    """

    index: int
    line: ScriptLine
    line_plan: LinePlan
    options: Any  # the engine's own
    line_override: LineOverride | None = None
    pause_s: float = 0.0
    lead_s: float = 0.0
    reproduced: bool = False
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    duration_s: float = 0.0

    @property
    def text_spans(self) -> list[TextSpan]:
        """The parts of the text, including the prompt, with the pronunciations."""
        return [
            replace(span, text=apply_pronunciations(span.text, self.pronunciations, phonemes=True))
            for span in split_text_spans(self.line)
        ]

    @property
    def text(self) -> str:
        """The text for the engine, including the prompt."""
        return " ".join(passage.text for passage in self.text_spans)

    @property
    def said(self) -> str:
        """The text without the prompt, with the pronunciations."""
        return apply_pronunciations(self.line.spoken_text, self.pronunciations, phonemes=True)


def get_token_budget(measuring: object) -> TokenBudget:
    """Return the room of an engine, or of what measures texts in its place."""
    if isinstance(measuring, SupportsTokenCount):
        return TokenBudget(
            limit=measuring.text_limit,
            count_tokens=measuring.count_tokens,
            reads_phonemes=getattr(measuring, "reads_phonemes", False),
        )
    return TokenBudget()


def split_into_chunks(
    plan: Sequence[LinePlan], room: TokenBudget, request: SpeechRequest
) -> list[TextChunk]:
    """Split every line into chunks within the engine's limit.

    Raises AppError where no speakable text is left.
    """
    pieces: list[TextChunk] = []
    for planned in plan:
        pieces += split_line_into_chunks(planned, room, request, len(pieces))
    if not pieces:
        raise AppError(
            "There is nothing to speak in the text: the engine supports none of its characters. "
            "Write it in letters.",
            code="unspeakable",
        )
    return pieces


def split_line_into_chunks(
    planned: LinePlan, room: TokenBudget, request: SpeechRequest, first: int
) -> list[TextChunk]:
    """Split one line; its chunks are numbered from `first`."""
    text, words = planned.line.text, _select_readable(request.pronunciations, room)
    if has_phonemes(text) and not room.reads_phonemes:
        raise AppError(
            f"Line {planned.line.number} has phonemes in braces, but this model reads letters. "
            "Write the word as it sounds, or choose a model of phonemes, such as the starter."
        )

    def count_tokens(text: str) -> int:
        return room.count_tokens(apply_pronunciations(text, words, phonemes=True))

    desired = request.delivery.piece_chars
    longest = min(round(desired * MAX_LENGTH_RATIO), MAX_CHUNK_CHARS)
    with reraise_as_app_error(ValueError):
        lines = split_line(planned.line, room.limit, count_tokens, desired, longest)
    duration_s = float(planned.line.override.get(DURATION, request.delivery.duration))
    if duration_s and len(lines) > 1:
        raise AppError(
            f"Line {planned.line.number} is to last {duration_s:g} s, but it is spoken in "
            f"{len(lines)} chunks. Divide it into lines with a length each."
        )
    return [
        TextChunk(
            index=index,
            line=line,
            line_plan=planned,
            options=replace(planned.options, seed=derive_chunk_seed(planned.options.seed, index)),
            pause_s=request.delivery.get_pause_s(line.pause),
            lead_s=line.lead_s,
            pronunciations=words,
            duration_s=duration_s,
        )
        for index, line in enumerate(lines, start=first)
    ]


def _select_readable(words: Mapping[str, str], room: TokenBudget) -> Mapping[str, str]:
    """Return the pronunciations that the engine can read: without phonemes, if it reads letters."""
    if room.reads_phonemes:
        return words
    return {word: spoken for word, spoken in words.items() if not has_phonemes(spoken)}

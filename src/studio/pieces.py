"""Lines cut into pieces that the engine can speak at once; nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engines.abilities import Measures
from speech.script import Line, split_line
from studio.errors import StudioError, refusing
from studio.plan import Passage, PlannedLine, passages_of, seed_of
from studio.speaking import LONGEST_PIECE, SpeakRequest
from studio.takes import Redone

NO_LIMIT = 1_000_000  # tokens; for an engine that does not measure texts
LONGEST_OVER_DESIRED = 1.5  # a sentence may run over the wished length by as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much text the engine can speak at once: so many tokens, counted so."""

    limit: int = NO_LIMIT
    count: Callable[[str], int] = len


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What the engine speaks in one go.

    index counts the pieces of the request from 0;  options has the piece's own seed;  redone says
    how it differs from what the request alone would give.
    """

    index: int
    line: Line
    planned: PlannedLine
    options: Any  # the engine's own
    redone: Redone | None = None

    @property
    def passages(self) -> list[Passage]:
        """The parts of the text, heard or not."""
        return passages_of(self.line)

    @property
    def text(self) -> str:
        """What the engine is given to speak."""
        return " ".join(passage.text for passage in self.passages)


def room_of(measuring: object) -> Room:
    """Return the room of an engine, or of what measures texts in its place."""
    if isinstance(measuring, Measures):
        return Room(limit=measuring.text_limit, count=measuring.count_tokens)
    return Room()


def split_pieces(plan: Sequence[PlannedLine], room: Room, request: SpeakRequest) -> list[Piece]:
    """Cut every line into pieces within the engine's limit.

    Raises StudioError where nothing speakable is left.
    """
    pieces: list[Piece] = []
    for planned in plan:
        pieces += pieces_of(planned, room, request, len(pieces))
    if not pieces:
        raise StudioError(
            "There is nothing to speak in the text: the engine has no sound for any of its "
            "characters. Write it in letters."
        )
    return pieces


def pieces_of(planned: PlannedLine, room: Room, request: SpeakRequest, first: int) -> list[Piece]:
    """Cut one line; its pieces are numbered from `first`."""
    desired = request.delivery.piece_chars
    longest = min(round(desired * LONGEST_OVER_DESIRED), LONGEST_PIECE)
    with refusing(ValueError):
        lines = split_line(planned.line, room.limit, room.count, desired, longest)
    return [
        Piece(
            index=index,
            line=line,
            planned=planned,
            options=replace(planned.options, seed=seed_of(planned.options.seed, index)),
        )
        for index, line in enumerate(lines, start=first)
    ]

"""Lines cut into pieces that the engine can speak at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engines.abilities import Measures
from speech.script import Line, split_line
from studio.errors import StudioError, refusing
from studio.plan import Passage, PlannedLine, passages_of, seed_of
from studio.speaking import LONGEST_PIECE, SpeakRequest

if TYPE_CHECKING:
    from engines.base import Engine

NO_LIMIT = 1_000_000  # tokens; for an engine that does not measure texts
LONGEST_OVER_DESIRED = 1.5  # a sentence may run over the wished length by as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What the engine speaks in one go.

    index counts the pieces of the request from 0;  options has the piece's own seed.
    """

    index: int
    line: Line
    planned: PlannedLine
    options: Any  # the engine's own

    @property
    def passages(self) -> list[Passage]:
        """The parts of the text, heard or not."""
        return passages_of(self.line)

    @property
    def text(self) -> str:
        """What the engine is given to speak."""
        return " ".join(passage.text for passage in self.passages)


def split_pieces(plan: Sequence[PlannedLine], engine: Engine, request: SpeakRequest) -> list[Piece]:
    """Cut every line into pieces within the engine's limit.

    Raises StudioError where nothing speakable is left.
    """
    limit, count = _measure(engine)
    desired = request.delivery.piece_chars
    longest = min(round(desired * LONGEST_OVER_DESIRED), LONGEST_PIECE)
    pieces: list[Piece] = []
    for planned in plan:
        with refusing(ValueError):
            lines = split_line(planned.line, limit, count, desired, longest)
        for line in lines:
            seed = seed_of(planned.options.seed, len(pieces))
            options = replace(planned.options, seed=seed)
            pieces.append(Piece(index=len(pieces), line=line, planned=planned, options=options))
    if not pieces:
        raise StudioError(
            "There is nothing to speak in the text: the engine has no sound for any of its "
            "characters. Write it in letters."
        )
    return pieces


def _measure(engine: Engine) -> tuple[int, Callable[[str], int]]:
    if isinstance(engine, Measures):
        return engine.text_limit, engine.count_tokens
    return NO_LIMIT, len

"""What will be spoken, before it is: cuts, words, tokens, and about how long. Nothing heavy.

The cuts are those of the real run: the same plan and the same pieces, measured by the bundle's
vocabulary instead of its engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from engines.knobs import knobs_of
from engines.registry import options_class
from jobs.plain import from_plain
from speech.script import VOICE, BadLine, ScriptError, read_rows
from studio.errors import StudioError, refusing
from studio.finetunes import resolve_bundle
from studio.layout import Layout
from studio.pieces import Piece, Room, pieces_of, room_of
from studio.plan import PlannedLine, plan_line
from studio.speaking import Delivery, SpeakRequest, check_text
from studio.voices import RANDOM, check_voices
from studio.weights import existing_bundle

LETTERS_PER_S = 16.7  # see spoken_s
SHORTEST_S = 0.4


class Measuring(Protocol):
    """What an engine's options class gives by `measure(weights)`: it reads texts, light."""

    @property
    def text_limit(self) -> int:
        """The most tokens of one piece."""
        ...

    def count_tokens(self, text: str) -> int:
        """Say how many tokens the text makes."""
        ...

    def said(self, text: str) -> str:
        """The text in words."""
        ...

    def unknown(self, text: str) -> tuple[str, ...]:
        """What of it is lost."""
        ...

    def guessed(self, text: str) -> tuple[str, ...]:
        """Words whose sound is guessed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a form holds, finished or not; it has the fields of a SpeakRequest that matter here."""

    text: str
    voice: str = ""
    engine: str = "tortoise"
    bundle: str = "starter"
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: knobs
    delivery: Delivery = field(default_factory=Delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewPiece:
    """One piece, or a line that cannot be spoken: then `problem` says why.

    line: its number in the text, from 1;  text: what is heard;  steering: spoken, then cut out;
    said: all of it in words, as it is read;  tokens of limit;  voice: "" unless it is the line's
    own;  unknown: words and signs that are lost;  guessed: words whose sound is guessed;
    seconds: of speech, about.
    """

    line: int
    text: str
    steering: str = ""
    said: str = ""
    tokens: int = 0
    limit: int = 0
    voice: str = ""
    unknown: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """All pieces in order, what is wrong with the whole, and about how many seconds it lasts."""

    pieces: tuple[PreviewPiece, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def speakable(self) -> bool:
        """Whether nothing stands in the way of speaking it."""
        return not self.problems and all(not piece.problem for piece in self.pieces)


def preview(draft: Draft | SpeakRequest, layout: Layout) -> Preview:
    """Show how a text will be spoken; whatever is wrong with it is told, never raised."""
    try:
        check_text(draft.text)
        return _Previewer(draft, layout).preview()
    except StudioError as refusal:
        return Preview(problems=(str(refusal),))


def spoken_s(said: str) -> float:
    """Guess how many seconds a text takes, from its letters when it is written out in words.

    Measured on 40 takes of the starter (sentences of 37 to 56 letters, blanks and marks counted,
    over all its voices): 16.7 letters a second, nine takes in ten between 14.5 and 19.4.
    """
    return max(SHORTEST_S, len(said) / LETTERS_PER_S)


class _Previewer:
    """One look at a draft; what is wrong with all of it is told once and then set right."""

    def __init__(self, draft: Draft | SpeakRequest, layout: Layout) -> None:
        self._layout = layout
        self._problems: list[str] = []
        with refusing(ValueError):
            self._cls = options_class(draft.engine)
        self._request = self._mended(draft)
        self._measure = self._measure_of(draft)
        self._room = room_of(self._measure) if self._measure else Room()

    def preview(self) -> Preview:
        request, pieces = self._request, list[PreviewPiece]()
        known = [knob.name for knob in knobs_of(self._cls)]
        delivery = request.delivery
        with refusing(ScriptError):
            rows = read_rows(
                request.text, delivery.delimiter, known=known, steering=delivery.steering
            )
        spoken = 0
        for row in rows:
            if isinstance(row, BadLine):
                pieces.append(PreviewPiece(line=row.number, text=row.raw, problem=row.reason))
                continue
            try:
                planned = plan_line(row, request, self._cls, self._layout)
                cut = pieces_of(planned, self._room, request, spoken)
            except StudioError as refusal:
                pieces.append(PreviewPiece(line=row.number, text=row.spoken, problem=str(refusal)))
                continue
            spoken += len(cut)
            pieces += [self._shown(piece, planned) for piece in cut]
        if not pieces:
            self._problems.append("There is nothing to speak in the text.")
        return Preview(
            pieces=tuple(pieces),
            problems=tuple(self._problems),
            seconds=round(_total_s(pieces, delivery), 1),
        )

    def _shown(self, piece: Piece, planned: PlannedLine) -> PreviewPiece:
        text, measure = piece.line.spoken, self._measure
        passages = [passage.text for passage in piece.passages if not passage.heard]
        own_voice = str(planned.line.override.get(VOICE, ""))
        shown = PreviewPiece(
            line=piece.line.number,
            text=text,
            steering=" ".join(passages),
            said=text,
            voice=own_voice,
            seconds=round(spoken_s(text), 1),
        )
        if measure is None:
            return shown
        heard = measure.said(text)
        return replace(
            shown,
            said=heard,
            tokens=measure.count_tokens(piece.text),
            limit=measure.text_limit,
            unknown=measure.unknown(piece.text),
            guessed=measure.guessed(piece.text),
            seconds=round(spoken_s(heard), 1),
        )

    def _mended(self, draft: Draft | SpeakRequest) -> SpeakRequest:
        """Return a request whose voice and options are right, so that lines tell only their own."""
        voice, options = draft.voice, {**draft.options}
        options["seed"] = options.get("seed") or 0
        try:
            check_voices(self._layout, voice)
        except StudioError as refusal:
            self._problems.append(str(refusal))
            voice = RANDOM
        try:
            from_plain(self._cls, options)
        except ValueError as wrong:
            self._problems.append(str(wrong))
            options = {"seed": 0}
        return SpeakRequest(
            text=draft.text,
            voice=voice,
            engine=draft.engine,
            bundle=resolve_bundle(self._layout, draft.bundle, voice),
            options=options,
            delivery=draft.delivery,
        )

    def _measure_of(self, draft: Draft | SpeakRequest) -> Measuring | None:
        """Return what reads texts for the bundle; None for an engine that cannot tell."""
        if not hasattr(self._cls, "measure"):
            return None
        try:
            with refusing(ValueError):
                bundle = resolve_bundle(self._layout, draft.bundle, draft.voice)
                measure: Measuring = self._cls.measure(existing_bundle(self._layout, bundle))
                return measure
        except StudioError as refusal:
            self._problems.append(str(refusal))
            return None


def _total_s(pieces: Sequence[PreviewPiece], delivery: Delivery) -> float:
    spoken = [piece.seconds for piece in pieces if not piece.problem]
    return sum(spoken) + delivery.pause_s * max(0, len(spoken) - 1)

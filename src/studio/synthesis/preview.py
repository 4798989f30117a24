"""Preview of a request: chunks, words, tokens and estimated duration.

Light: no torch. The chunks are those of the real run: the same plan, with tokens counted by the
vocabulary of the model instead of its engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import ProjectPaths
from core.serialization import from_dict
from engines.registry import get_options_class
from studio.model_store.bundles import find_model_folder
from studio.model_store.finetunes import resolve_model_name
from studio.schemas.speech import OutputOptions, SpeechRequest, check_text
from studio.settings.pronunciations import read_pronunciations
from studio.synthesis.chunking import (
    TextChunk,
    TokenBudget,
    get_token_budget,
    split_line_into_chunks,
)
from studio.synthesis.planning import LinePlan, plan_line
from studio.voices.catalog import RANDOM_VOICE, check_voices
from studio.voices.speakers import choose_speaker_voices
from text.pauses import PauseKind
from text.pronunciations import select_pronunciations
from text.script import VOICE, InvalidLine, ScriptError, ScriptNotice, parse_lines

CHARS_PER_SECOND = 16.7  # see spoken_s
MIN_SPEECH_S = 0.4


class TextAnalyzer(Protocol):
    """Text frontend of an engine, as returned by `measure(weights)` of its options class. Light."""

    @property
    def text_limit(self) -> int:
        """The maximum number of tokens of one chunk."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the text."""
        ...

    def normalize(self, text: str) -> str:
        """The text in words."""
        ...

    def find_unknown(self, text: str) -> tuple[str, ...]:
        """Parts of the text that are dropped."""
        ...

    def find_guessed(self, text: str) -> tuple[str, ...]:
        """Return the words whose pronunciation is guessed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRequest:
    """The values of a form, complete or not: the relevant fields of a SpeechRequest."""

    text: str
    voice: str = ""
    engine: str = "tortoise"
    bundle: str = "starter"
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: options
    delivery: OutputOptions = field(default_factory=OutputOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewChunk:
    """One chunk, or a line that cannot be spoken because of `problem`.

    line: its number in the text, from 1; text: the spoken text; steering: the prompt; said: the
    normalized text; tokens of limit; voice: "" unless it is the line's own; unknown: words and
    symbols that are dropped; guessed: words whose pronunciation is guessed; seconds: estimated
    duration; pause: the kind of silence behind it, and pause_s its seconds; lead_s: silence before.
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
    pause: PauseKind = "sentence"
    pause_s: float = 0.0
    lead_s: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """All chunks in order, problems of the whole text, and the estimated duration in seconds.

    notices: what of the text is left out or not supported.
    """

    pieces: tuple[PreviewChunk, ...] = ()
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def speakable(self) -> bool:
        """Return whether the text can be generated."""
        return not self.problems and all(not piece.problem for piece in self.pieces)


def preview(draft: PreviewRequest | SpeechRequest, layout: ProjectPaths) -> Preview:
    """Preview a text; problems are returned in the preview, never raised."""
    try:
        check_text(draft.text)
        return _PreviewBuilder(draft, layout).preview()
    except AppError as refusal:
        return Preview(problems=(str(refusal),))


def estimate_speech_s(said: str) -> float:
    """Estimate the duration of a text from the number of letters of its normalized form.

    Measured on 40 takes of the starter (sentences of 37 to 56 letters, blanks and marks counted,
    over all its voices): 16.7 letters a second, nine takes in ten between 14.5 and 19.4.
    """
    return max(MIN_SPEECH_S, len(said) / CHARS_PER_SECOND)


class _PreviewBuilder:
    """Builds one preview; a problem of the whole text is reported once and then corrected."""

    def __init__(self, draft: PreviewRequest | SpeechRequest, layout: ProjectPaths) -> None:
        self._layout = layout
        self._problems: list[str] = []
        with reraise_as_app_error(ValueError):
            self._cls = get_options_class(draft.engine)
        self._request = self._repair_request(draft)
        self._text_analyzer = self._load_text_analyzer(draft)
        self._token_budget = (
            get_token_budget(self._text_analyzer) if self._text_analyzer else TokenBudget()
        )

    def preview(self) -> Preview:
        request, pieces = self._request, list[PreviewChunk]()
        known = [option.name for option in list_option_fields(self._cls)]
        delivery = request.delivery
        with reraise_as_app_error(ScriptError):
            rows = parse_lines(
                request.text,
                delivery.delimiter,
                known=known,
                steering=delivery.prompt_prefix,
                speakers=request.speaker_voices,
            )
        spoken = 0
        plan: LinePlan | None = None
        for row in rows:
            if isinstance(row, ScriptNotice):
                continue
            if isinstance(row, InvalidLine):
                pieces.append(PreviewChunk(line=row.number, text=row.raw, problem=row.reason))
                continue
            try:
                plan = plan_line(row, request, self._cls, self._layout, plan)
                cut = split_line_into_chunks(plan, self._token_budget, request, spoken)
            except AppError as refusal:
                pieces.append(
                    PreviewChunk(line=row.number, text=row.spoken_text, problem=str(refusal))
                )
                continue
            spoken += len(cut)
            pieces += [self._preview_chunk(piece, plan) for piece in cut]
        notices = [row.message for row in rows if isinstance(row, ScriptNotice)]
        if not pieces:
            self._problems.append(
                " ".join(["There is nothing to speak in the text.", *notices[:1]])
            )
        return Preview(
            pieces=tuple(pieces),
            problems=tuple(self._problems),
            notices=tuple(notices),
            seconds=round(_sum_durations(pieces), 1),
        )

    def _preview_chunk(self, piece: TextChunk, planned: LinePlan) -> PreviewChunk:
        text, measure = piece.line.spoken_text, self._text_analyzer
        passages = [passage.text for passage in piece.text_spans if not passage.audible]
        own_voice = str(planned.line.override.get(VOICE, ""))
        shown = PreviewChunk(
            line=piece.line.number,
            text=text,
            steering=" ".join(passages),
            said=text,
            voice=own_voice,
            seconds=round(piece.duration_s or estimate_speech_s(text), 1),
            pause=piece.line.pause.kind,
            pause_s=piece.pause_s,
            lead_s=piece.lead_s,
        )
        if measure is None:
            return shown
        if hasattr(measure, "with_options"):
            measure = measure.with_options(planned.options)
        normalized = measure.normalize(piece.said)
        return replace(
            shown,
            said=normalized,
            tokens=measure.count_tokens(piece.text),
            limit=measure.text_limit,
            unknown=measure.find_unknown(piece.text),
            guessed=measure.find_guessed(piece.text),
            seconds=round(piece.duration_s or estimate_speech_s(normalized), 1),
        )

    def _repair_request(self, draft: PreviewRequest | SpeechRequest) -> SpeechRequest:
        voice, options = draft.voice, {**draft.options}
        options["seed"] = options.get("seed") or 0
        try:
            check_voices(self._layout, voice)
        except AppError as refusal:
            self._problems.append(str(refusal))
            voice = RANDOM_VOICE
        try:
            from_dict(self._cls, options)
        except ValueError as wrong:
            self._problems.append(str(wrong))
            options = {"seed": 0}
        words: Mapping[str, str] = {}
        speakers: Mapping[str, str] = {}
        try:
            words = select_pronunciations(read_pronunciations(self._layout), draft.text)
            stated = getattr(draft, "speaker_voices", {})
            speakers = choose_speaker_voices(self._layout, draft.text, stated)
        except AppError as refusal:
            self._problems.append(str(refusal))
        return SpeechRequest(
            text=draft.text,
            voice=voice,
            engine=draft.engine,
            bundle=resolve_model_name(self._layout, draft.bundle, voice),
            options=options,
            delivery=draft.delivery,
            pronunciations=words,
            speaker_voices=speakers,
        )

    def _load_text_analyzer(self, draft: PreviewRequest | SpeechRequest) -> TextAnalyzer | None:
        """Return the text frontend of the model; None for an engine without one."""
        if not hasattr(self._cls, "measure"):
            return None
        try:
            with reraise_as_app_error(ValueError):
                bundle = resolve_model_name(self._layout, draft.bundle, draft.voice)
                measure: TextAnalyzer = self._cls.measure(find_model_folder(self._layout, bundle))
                return measure
        except AppError as refusal:
            self._problems.append(str(refusal))
            return None


def _sum_durations(pieces: Sequence[PreviewChunk]) -> float:
    return sum(
        piece.lead_s + piece.seconds + piece.pause_s for piece in pieces if not piece.problem
    )

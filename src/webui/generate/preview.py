"""What will be spoken, told under the text while it is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from core.errors import AppError
from core.formatting import format_count, format_duration, format_stage
from studio.app.studio import Studio
from studio.schemas.speech import SpeechRequest
from studio.synthesis.preview import Preview, PreviewChunk, preview

MAX_CHUNKS = 40  # pieces; of a book, the first pages tell enough
MIN_SHARE = 0.1  # of the time that a stage must take to be named


def request_preview_html(studio: Studio, request: SpeechRequest) -> str:
    """Tell how a request will be spoken, and how long that will take on this machine."""
    return preview_html(preview(request, studio.layout), _estimate_stage_seconds(studio, request))


def preview_html(shown: Preview, expected: Mapping[str, float] | None) -> str:
    """Draw a preview."""
    problems = "".join(f'<p class="over">! {escape(word)}</p>' for word in shown.problems)
    if not shown.pieces:
        return f'<div class="preview">{problems}</div>'
    size = f"{format_count(len(shown.pieces), 'piece')}, {format_duration(shown.seconds)} of sound"
    items = "".join(_render_chunk(piece) for piece in shown.pieces[:MAX_CHUNKS])
    more = len(shown.pieces) - MAX_CHUNKS
    rest = f'<p class="quiet">and {more:,} more</p>' if more > 0 else ""
    return (
        f'<div class="preview">{problems}<p>{format_estimate(expected)}</p><details '
        f'data-key="pieces">'
        f"<summary>What will be spoken: {size}</summary><ol>{items}</ol>{rest}</details></div>"
    )


def format_estimate(expected: Mapping[str, float] | None) -> str:
    """Say how long it will take, and which stages take most of it."""
    if not expected:
        return "How long it takes is learnt from the first run."
    whole = sum(expected.values())
    shares = sorted(expected.items(), key=lambda stage: -stage[1])
    named = [
        f"{format_stage(stage).lower()} {round(100 * part / whole)} %"
        for stage, part in shares
        if whole > 0 and part / whole >= MIN_SHARE
    ]
    return f"<strong>Takes {format_duration(whole)}</strong>{_format_in_parentheses(named)}"


def _format_in_parentheses(words: Sequence[str]) -> str:
    return f" ({', '.join(map(escape, words))})" if words else ""


def _render_chunk(piece: PreviewChunk) -> str:
    if piece.problem:
        return f'<li><span class="over">! Line {piece.line}: {escape(piece.problem)}</span></li>'
    notes = []
    if piece.limit:
        notes.append(f"{piece.tokens} of {piece.limit} tokens")
    if piece.voice:
        notes.append(f"voice {piece.voice}")
    if piece.steering:
        notes.append(f"steered by “{piece.steering}”, not heard")
    if piece.unknown:
        notes.append(f"cannot be said: {', '.join(piece.unknown)}")
    if piece.guessed:
        notes.append(f"sound guessed: {', '.join(piece.guessed)}")
    mark = ' class="over"' if piece.tokens > piece.limit > 0 else ' class="quiet"'
    return f"<li>{escape(piece.said)} <span{mark}>{escape(' · '.join(notes))}</span></li>"


def _estimate_stage_seconds(studio: Studio, request: SpeechRequest) -> Mapping[str, float] | None:
    try:
        return studio.estimate_stage_seconds(request)
    except AppError:
        return None

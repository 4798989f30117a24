"""What will be spoken, told under the text while it is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from studio.errors import StudioError
from studio.preview import Preview, PreviewPiece, preview
from studio.speaking import SpeakRequest
from studio.studio import Studio
from webui.words import counted, seconds_told, stage_told

SHOWN = 40  # pieces; of a book, the first pages tell enough
LEAST_SHARE = 0.1  # of the time that a stage must take to be named


def preview_of(studio: Studio, request: SpeakRequest) -> str:
    """Tell how a request will be spoken, and how long that will take on this machine."""
    return preview_html(preview(request, studio.layout), _expected(studio, request))


def preview_html(shown: Preview, expected: Mapping[str, float] | None) -> str:
    """Draw a preview."""
    problems = "".join(f'<p class="over">! {escape(word)}</p>' for word in shown.problems)
    if not shown.pieces:
        return f'<div class="preview">{problems}</div>'
    size = f"{counted(len(shown.pieces), 'piece')}, {seconds_told(shown.seconds)} of sound"
    items = "".join(_piece(piece) for piece in shown.pieces[:SHOWN])
    more = len(shown.pieces) - SHOWN
    rest = f'<p class="quiet">and {more:,} more</p>' if more > 0 else ""
    return (
        f'<div class="preview">{problems}<p>{time_told(expected)}</p><details data-key="pieces">'
        f"<summary>What will be spoken: {size}</summary><ol>{items}</ol>{rest}</details></div>"
    )


def time_told(expected: Mapping[str, float] | None) -> str:
    """Say how long it will take, and which stages take most of it."""
    if not expected:
        return "How long it takes is learnt from the first run."
    whole = sum(expected.values())
    shares = sorted(expected.items(), key=lambda stage: -stage[1])
    named = [
        f"{stage_told(stage).lower()} {round(100 * part / whole)} %"
        for stage, part in shares
        if whole > 0 and part / whole >= LEAST_SHARE
    ]
    return f"<strong>Takes {seconds_told(whole)}</strong>{_in_brackets(named)}"


def _in_brackets(words: Sequence[str]) -> str:
    return f" ({', '.join(map(escape, words))})" if words else ""


def _piece(piece: PreviewPiece) -> str:
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


def _expected(studio: Studio, request: SpeakRequest) -> Mapping[str, float] | None:
    try:
        return studio.expected_s(request)
    except StudioError:
        return None

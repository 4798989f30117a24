"""A preview of what will be spoken, shown under the text while it is typed."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from core.errors import AppError
from core.formatting import format_duration, format_stage
from studio.app.studio import Studio
from studio.schemas.speech import SpeechRequest
from studio.synthesis.planning import select_first_sentence
from studio.synthesis.preview import Preview, PreviewChunk, preview
from webui.components.templates import render

MAX_CHUNKS = 40
LONG_JOB_S = 180.0
OTHER_STAGE = "other"
MIN_SHARE = 0.1  # of the time that a stage must take to be named


def request_preview_html(studio: Studio, request: SpeechRequest) -> Markup:
    """Render how a request will be spoken, and how long that will take on this machine."""
    return preview_html(preview(request, studio.layout), estimate_stages(studio, request))


def estimate_stages(studio: Studio, request: SpeechRequest) -> Mapping[str, float] | None:
    """Return the seconds of each stage on this machine; None where nothing is known."""
    try:
        return studio.estimate_stage_seconds(request)
    except AppError:
        return None


def is_long_job(studio: Studio, request: SpeechRequest) -> bool:
    """Return whether a request takes so long that its first sentence is offered to hear before."""
    return sum((estimate_stages(studio, request) or {}).values()) >= LONG_JOB_S


def submit_first_sentence(studio: Studio, request: SpeechRequest, origin: str) -> None:
    """Submit the first sentence of a request with the same settings. Raises AppError."""
    first = select_first_sentence(request, studio.layout)
    title = f"Preview: {' '.join(first.text.split())}"
    studio.submit(first, title=title, origin=origin)


def format_estimate(studio: Studio, request: SpeechRequest) -> str:
    """Return how long a request takes on this machine, such as `about 40 s`; "" if unknown."""
    total = sum((estimate_stages(studio, request) or {}).values())
    return format_duration(total) if total > 0 else ""


def preview_html(shown: Preview, stage_seconds: Mapping[str, float] | None) -> Markup:
    """Render a preview.  stage_seconds: the expected time of each stage; None if unknown."""
    stages = stage_seconds or {}
    return render(
        "preview.html",
        preview=shown,
        total=sum(stages.values()),
        stages=_format_stages(stages),
        notes=_format_notes,
        max_chunks=MAX_CHUNKS,
    )


def _format_stages(stage_seconds: Mapping[str, float]) -> str:
    """Return the shares of the stages in percent, which sum to 100."""
    total = sum(stage_seconds.values())
    if total <= 0:
        return ""
    ordered = sorted(stage_seconds.items(), key=lambda item: -item[1])
    named = [
        (format_stage(stage).lower(), round(100 * seconds / total))
        for stage, seconds in ordered
        if seconds / total >= MIN_SHARE and stage != OTHER_STAGE
    ]
    rest = 100 - sum(share for _, share in named)
    shares = [*named, (OTHER_STAGE, rest)] if rest > 0 else named
    return f" ({', '.join(f'{name} {share} %' for name, share in shares)})"


def _format_notes(piece: PreviewChunk) -> str:
    notes = (
        f"{piece.tokens} of {piece.limit} tokens" if piece.limit else "",
        f"voice {piece.voice}" if piece.voice else "",
        f"mood: “{piece.steering}”, not spoken" if piece.steering else "",
        f"cannot be spoken: {', '.join(piece.unknown)}" if piece.unknown else "",
        f"pause {piece.pause_s:g} s" if piece.pause_s else "",
        f"pronunciation guessed: {', '.join(piece.guessed)}" if piece.guessed else "",
    )
    return " · ".join(filter(None, notes))

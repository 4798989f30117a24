"""Clips and buttons as HTML: players with a label and a download, buttons with data-act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from core.errors import AppError
from core.paths import ProjectPaths
from studio.voices.catalog import find_voice, parse_blend
from webui.components.file_links import get_file_url
from webui.components.templates import render, render_macro


@dataclass(frozen=True, kw_only=True)
class ClipPlayer:
    """One clip in a list.

    key: unique among its neighbours;  badge_html, details_html: trusted HTML after the player and
    below it.
    """

    key: str
    label: str
    path: str
    note: str = ""
    badge_html: str = ""
    details_html: str = ""


def clips_html(clips: Sequence[ClipPlayer], layout: ProjectPaths) -> Markup:
    """Render clips one after another."""
    urls = [get_file_url(layout, clip.path) for clip in clips]
    return render("clips.html", clips=list(zip(clips, urls, strict=True)))


def action_button(act: str, job: str, label: str, *, look: str = "", value: str = "") -> Markup:
    """Render a button that asks for an action of a live panel."""
    return render_macro("button", label, act, job, value, style=look)


def toggle_button(act: str, job: str, label: str, *, on: bool) -> Markup:
    """Render a button that stays pressed."""
    return render_macro("button", label, act, job, pressed=on)


def copy_button(label: str, text: str) -> Markup:
    """Render a button that copies a text."""
    return render_macro("copy_button", label, text)


def format_score(score: float | None) -> str:
    """Format the score that the engine ranked a take by."""
    return "" if score is None else f"score {score:.3f}"


def voice_sample_html(layout: ProjectPaths, voice: str, key: str) -> Markup:
    """Render a reference clip of a voice to compare with; nothing where there is none."""
    try:
        parts = [part for part in parse_blend(voice) if not part.is_random]
        clips = find_voice(layout, parts[0].voice).clips if parts else ()
    except AppError:
        clips = ()
    if not clips:
        return Markup("")
    url = get_file_url(layout, str(clips[0]))
    return render("voice_sample.html", key=key, url=url, name=parts[0].voice)

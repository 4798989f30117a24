"""Clips on the page: a player with a label, a download, and buttons that say what they want.

Everything that came from a user or a file is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.errors import AppError
from core.paths import ProjectPaths
from studio.voices.catalog import find_voice, parse_blend
from webui.components.file_links import get_file_url


@dataclass(frozen=True, kw_only=True)
class ClipPlayer:
    """One clip in a list.

    key: names it among its neighbours;  label: what it is;  note: beside it;  mark: after the
    player, and more: below it, both HTML.
    """

    key: str
    label: str
    path: str
    note: str = ""
    badge_html: str = ""
    details_html: str = ""


def clips_html(shown: Sequence[ClipPlayer], layout: ProjectPaths) -> str:
    """Draw clips one after another."""
    return "".join(_render_clip(clip, layout) for clip in shown)


def action_button(act: str, job: str, label: str, *, look: str = "", value: str = "") -> str:
    """Draw a button that asks for an act on a job."""
    return (
        f'<button type="button" class="small {look}" data-act="{act}" data-job="{escape(job)}" '
        f'data-value="{escape(value)}">{escape(label)}</button>'
    )


def toggle_button(act: str, job: str, label: str, *, on: bool) -> str:
    """Draw a button that stays pressed."""
    return (
        f'<button type="button" class="small" data-act="{act}" data-job="{escape(job)}" '
        f'data-value="" aria-pressed="{str(on).lower()}">{escape(label)}</button>'
    )


def copy_button(label: str, text: str) -> str:
    """Draw a button that copies a text."""
    return (
        f'<button type="button" class="small" data-copy="{escape(text)}">{escape(label)}</button>'
    )


def format_score(score: float | None) -> str:
    """Tell what the engine ranked a take by."""
    return "" if score is None else f"score {score:.3f}"


def voice_sample_html(layout: ProjectPaths, voice: str, key: str) -> str:
    """Draw a clip of the voice that was imitated, to compare with; nothing where there is none."""
    try:
        parts = [part for part in parse_blend(voice) if not part.is_random]
        clips = find_voice(layout, parts[0].voice).clips if parts else ()
    except AppError:
        return ""
    if not clips:
        return ""
    name = escape(parts[0].voice)
    link = escape(get_file_url(layout, str(clips[0])))
    return (
        f'<details class="sampled" data-key="{escape(key)}"><summary>The sampled voice</summary>'
        f'<audio controls preload="none" src="{link}" aria-label="A clip of the voice {name}">'
        "</audio></details>"
    )


def _render_clip(clip: ClipPlayer, layout: ProjectPaths) -> str:
    label, link = escape(clip.label), get_file_url(layout, clip.path)
    player = _render_player(label, escape(link)) if link else _MISSING_CLIP_HTML
    return (
        f'<figure class="take" data-key="{escape(clip.key)}"><figcaption><strong>{label}</strong> '
        f'<span class="quiet">{escape(clip.note)}</span></figcaption>'
        f'<div class="player">{player}{clip.badge_html}</div>{clip.details_html}</figure>'
    )


_MISSING_CLIP_HTML = (
    '<span class="quiet">This clip was renamed, moved or deleted; see the tab History.</span>'
)


def _render_player(label: str, link: str) -> str:
    return (
        f'<audio controls preload="none" src="{link}" aria-label="{label}"></audio>'
        f'<a class="small" href="{link}&amp;download=true" download '
        f'aria-label="Download {label}">Download</a>'
    )

"""Durations, sizes, counts, times and stages as text for the user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

STAGE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "": "Starting",
        "loading": "Loading the model",
        "listening": "Computing speaker latents",
        "condition": "Computing speaker latents",
        "draft": "Sampling candidates",
        "rank": "Ranking candidates",
        "latents": "Computing latents",
        "diffusion": "Diffusion",
        "vocode": "Vocoder",
        "speaking": "Generating",
        "align": "Aligning the text",
        "checking": "Checking the take",
        "looking": "Reading the recordings",
        "cutting": "Cutting clips",
        "comparing": "Finding duplicates",
        "seconds": "Seconds of recordings",
    }
)


def format_stage(stage: str) -> str:
    """Return the label of a stage of the work."""
    return STAGE_LABELS.get(stage) or stage.replace("_", " ").capitalize()


def format_duration(seconds: float) -> str:
    """Return an estimated time, rounded: about 40 s, about 2 min 10 s, about 3 h."""
    if seconds < 1.5:
        return "about 1 s"
    if seconds < 57.5:
        return f"about {round(seconds) if seconds < 20 else round(seconds / 5) * 5} s"
    minutes, rest = divmod(round(seconds / 10) * 10, 60)
    if minutes < 10 and rest:
        return f"about {minutes} min {rest} s"
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {minutes / 60:.1f} h"


def format_clock(seconds: float) -> str:
    """Return a time to the second: 0:07, 12:30, 1:02:03."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_bytes(count: int | None) -> str:
    """Return a size: 512 MB, 1.5 GB; "unknown" for None."""
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def format_count(number: int, thing: str) -> str:
    """Return a count with its noun: 1 line, 2 lines."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def format_timestamp(moment: float) -> str:
    """Return a date and time: 3 Feb 2026, 14:05."""
    try:
        return datetime.fromtimestamp(moment).strftime("%d %b %Y, %H:%M").lstrip("0")
    except (ValueError, OverflowError, OSError):
        return "unknown time"

"""A dropped clip as a piece of the page: its player, the settings in it, the voice in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.embedded_latents import EmbeddedLatents


def clip_player_html(name: str, path: str) -> str:
    """Draw the player of a clip that lies where the page keeps what was dropped."""
    link = escape(f"gradio_api/file={quote(path)}")
    shown = escape(name)
    return (
        f'<figure class="take"><figcaption><strong>As it is</strong> <span class="quiet">{shown}'
        f'</span></figcaption><audio controls preload="none" src="{link}" '
        f'aria-label="The clip {shown}"></audio></figure>'
    )


def clip_metadata_html(
    record: TakeMetadata | None, latents: EmbeddedLatents | None, problem: str
) -> str:
    """Say how a clip was spoken, or why that is not known."""
    why = f'<p class="note" role="status">{escape(problem)}</p>' if problem else ""
    if record is None:
        return why
    rows = {
        "Text": record.text,
        "Voice": record.voice,
        "Model": f"{record.bundle} ({record.engine}, weights {record.weights_id})",
        "Seed": str(record.seed),
        "Spoken": f"{record.created}, {record.duration_s:.1f} s long",
        "Options": _format_pairs(record.options),
        "Delivery": _format_pairs(record.delivery),
    }
    if record.score is not None:
        rows["Candidate"] = f"{record.candidate}, score {record.score:.4g}"
    told = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows.items() if value
    )
    return f'{why}<dl class="record">{told}</dl>{_render_latents(latents)}'


def _render_latents(latents: EmbeddedLatents | None) -> str:
    if latents is None:
        return '<p class="quiet">No latents are embedded.</p>'
    parts = "".join(
        f"<li>{escape(part.name)}: {'×'.join(map(str, part.shape))} {part.dtype}</li>"
        for part in latents.tensors
    )
    data = base64.b64encode(latents.raw).decode("ascii")
    name = f"latents-{latents.content_id}.safetensors"
    return (
        f"<p>Latents of <strong>{escape(latents.engine)}</strong>, weights "
        f"{escape(latents.weights_id)}, content {latents.content_id}:</p><ul>{parts}</ul>"
        f'<p><a class="small" id="utilities-latents" download="{name}" '
        f'href="data:application/octet-stream;base64,{data}">Save the latents</a></p>'
    )


def _format_pairs(values: Mapping[str, Any]) -> str:  # Any: knob values
    return ", ".join(f"{name} {value}" for name, value in values.items() if value not in ("", None))

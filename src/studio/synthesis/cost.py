"""Estimate the amount of work of a request before loading anything, for the time estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jobs.eta import WorkEstimate

COST_OPTIONS = (
    "half_precision",
    "precision",
    "low_vram",
    "cond_free",
    "vocoder",
    "cvvp_weight",
    "diffusion_sampler",
)


def estimate_speech_work(request: Mapping[str, Any]) -> WorkEstimate:
    """Measure a plain SpeakRequest; the stages are those that engines report."""
    options, delivery = request.get("options", {}), request.get("delivery", {})
    text = str(request.get("text", ""))
    letters = float(max(1, len(text)))
    samples = float(options.get("samples") or 1)
    kept = float(options.get("candidates") or 1)
    steps = float(options.get("iterations") or 1)
    how = [f"{name}={options[name]}" for name in COST_OPTIONS if name in options]
    where = [str(request.get(name, "")) for name in ("engine", "bundle", "device", "threads")]
    return WorkEstimate(
        work="/".join(["speak", *where, *how]),
        units={
            "draft": samples * letters,
            "rank": samples * letters,
            "latents": kept * letters,
            "diffusion": kept * steps * letters,
            "vocode": kept * letters,
            "aligning": letters,
        },
        parts=_estimate_chunk_count(text, delivery),
    )


def _estimate_chunk_count(text: str, delivery: Mapping[str, Any]) -> int:
    """Estimate the number of chunks of a text; the worker corrects it after splitting."""
    delimiter = str(delivery.get("delimiter") or "").replace("\\n", "\n")
    longest = max(1, int(delivery.get("piece_chars") or 200))
    lines = [line for line in (text.split(delimiter) if delimiter else [text]) if line.strip()]
    return max(1, sum(math.ceil(len(line) / longest) for line in lines))

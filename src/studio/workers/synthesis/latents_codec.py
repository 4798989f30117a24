"""A speaker's latents as text in a record, and the name of what they hold. Never a pickle."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from core.errors import AppError
from engines.speaker_latents import SpeakerLatents

MAX_LATENTS_BYTES = 2_000_000  # bytes of safetensors


def compute_latents_id(speaker: SpeakerLatents) -> str:
    """Name what the latents hold: equal ids, equal numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(speaker.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()[:16]


def encode_latents(speaker: SpeakerLatents) -> str:
    """Return the latents as base64 of a safetensors file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "latents.safetensors"
        speaker.save(path)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def decode_latents(text: str, source: str) -> SpeakerLatents:
    """Return latents that may come from anyone.

    Raises StudioError, and nothing else, for whatever is not latents of ours.
    """
    if len(text) > MAX_LATENTS_BYTES * 4 // 3:
        raise AppError(
            f"The latents in {source} are larger than {MAX_LATENTS_BYTES:,} bytes.",
            code="bad_latents",
        )
    try:
        raw = base64.b64decode(text, validate=True)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "latents.safetensors"
            path.write_bytes(raw)
            speaker = SpeakerLatents.load(path)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in speaker.tensors.values()):
            raise ValueError("they hold numbers that are not finite")
        return speaker
    except (binascii.Error, ValueError, KeyError, OSError) as cause:
        raise AppError(
            f"The latents in {source} cannot be used: {cause}", code="bad_latents"
        ) from cause

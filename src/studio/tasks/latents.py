"""A speaker's latents as text in a record, and the name of what they hold. Never a pickle."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from engines.conditioning import Conditioning
from studio.errors import StudioError

LARGEST = 2_000_000  # bytes of safetensors


def content_id(speaker: Conditioning) -> str:
    """Name what the latents hold: equal ids, equal numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(speaker.tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()[:16]


def packed(speaker: Conditioning) -> str:
    """Return the latents as base64 of a safetensors file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "latents.safetensors"
        speaker.save(path)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def unpacked(text: str, source: str) -> Conditioning:
    """Return latents that may come from anyone.

    Raises StudioError, and nothing else, for whatever is not latents of ours.
    """
    if len(text) > LARGEST * 4 // 3:
        raise StudioError(f"The latents in {source} are larger than {LARGEST:,} bytes.")
    try:
        raw = base64.b64decode(text, validate=True)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "latents.safetensors"
            path.write_bytes(raw)
            speaker = Conditioning.load(path)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in speaker.tensors.values()):
            raise ValueError("they hold numbers that are not finite")
        return speaker
    except (binascii.Error, ValueError, KeyError, OSError) as cause:
        raise StudioError(f"The latents in {source} cannot be used: {cause}") from cause

"""The voice inside a clip, looked at without any network code; nothing in it is trusted."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import safetensors

from core.errors import AppError
from core.files import parse_json
from studio.schemas.take_metadata import TakeMetadata

MAX_LATENTS_BYTES = 2_000_000  # of safetensors
LATENTS_FORMAT = "testudo-conditioning-1"  # engines.speaker_latents, which imports torch
CONSENT_KEY = "consent"  # in the metadata of the safetensors file
DTYPES: Mapping[str, str] = MappingProxyType(
    {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentTensorInfo:
    """One tensor of a voice."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedLatents:
    """Speaker latents embedded in a clip.

    content_id: hash of the tensors; raw: the safetensors file; consent: the consent note of the
    voice as text, which anybody may have written.
    """

    engine: str
    weights_id: str
    content_id: str
    tensors: tuple[LatentTensorInfo, ...]
    raw: bytes
    consent: str = ""


def read_embedded_latents(record: TakeMetadata, source: str) -> EmbeddedLatents | None:
    """Return the speaker latents embedded in a clip, or None."""
    return None if record.latents is None else parse_embedded_latents(record.latents, source)


def parse_embedded_latents(text: str, source: str) -> EmbeddedLatents:
    """Read latents from base64.

    Raises AppError, and nothing else, for whatever is not latents of ours.
    """
    if len(text) > MAX_LATENTS_BYTES * 4 // 3:
        raise AppError(
            f"The latents in {source} are larger than {MAX_LATENTS_BYTES:,} bytes.",
            code="bad_latents",
        )
    try:
        return _parse_latents(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, KeyError, TypeError, safetensors.SafetensorError) as cause:
        raise AppError(
            f"The latents in {source} cannot be used: {cause}", code="bad_latents"
        ) from cause


def _parse_latents(raw: bytes) -> EmbeddedLatents:
    read: Any = safetensors.deserialize  # it has no types
    tensors: dict[str, Any] = dict(read(raw))  # Any: dtype, shape and data
    (length,) = struct.unpack("<Q", raw[:8])
    meta = parse_json(raw[8 : 8 + length]).get("__metadata__") or {}
    if meta.get("format") != LATENTS_FORMAT:
        raise ValueError(f"they are of format {meta.get('format')!r}, not {LATENTS_FORMAT!r}")
    digest, parts = hashlib.sha256(), []
    for name, tensor in sorted(tensors.items()):
        if tensor["dtype"] not in DTYPES:
            raise ValueError(f"{name!r} holds {tensor['dtype']}, not floating-point numbers")
        part = LatentTensorInfo(
            name=name, dtype=DTYPES[tensor["dtype"]], shape=tuple(tensor["shape"])
        )
        if 0 in part.shape:
            raise ValueError(f"{name!r} is empty: its shape is {part.shape}")
        if not _all_finite(bytes(tensor["data"]), tensor["dtype"]):
            raise ValueError("they contain NaN or infinite values")
        digest.update(f"{name} torch.{part.dtype} {part.shape}".encode())
        digest.update(bytes(tensor["data"]))
        parts.append(part)
    return EmbeddedLatents(
        engine=meta["engine"],
        weights_id=meta["weights_id"],
        content_id=digest.hexdigest()[:16],
        tensors=tuple(parts),
        raw=raw,
        consent=str(meta.get(CONSENT_KEY, "")),
    )


def _all_finite(data: bytes, dtype: str) -> bool:
    if dtype == "BF16":  # the upper half of a float32
        pairs = (data[at : at + 2] for at in range(0, len(data), 2))
        return all(math.isfinite(struct.unpack("<f", b"\0\0" + pair)[0]) for pair in pairs)
    code = {"F64": "d", "F32": "f", "F16": "e"}[dtype]
    return all(math.isfinite(number) for (number,) in struct.iter_unpack(f"<{code}", data))

"""Speaker latents: what an engine computed from a speaker's clips, saved as safetensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import InvalidValueError
from core.files import write_bytes
from engines.safetensors_io import find_tensor_problem, is_finite

FORMAT = "testudo-conditioning-1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeakerLatents:
    """A speaker as one engine with one set of weights sees it. Only that engine reads it."""

    engine: str
    weights_id: str
    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            problem = find_tensor_problem(tensor.detach().cpu())
            if not problem and not (tensor.numel() and tensor.is_floating_point()):
                problem = f"holds {tuple(tensor.shape)} numbers of {tensor.dtype}"
            if not problem and not is_finite(tensor):
                problem = "contains NaN or infinite values"
            if problem:
                raise InvalidValueError(
                    f"The speaker latents cannot be used: {name} {problem}. Compute them again "
                    "from clips of the voice.",
                    code="bad_latents",
                )

    @property
    def content_id(self) -> str:
        """Return a hash of the tensors."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
        return digest.hexdigest()[:16]

    def require_weights(self, engine: str, weights_id: str) -> None:
        """Raise InvalidValueError where another engine or other weights computed the latents."""
        if (self.engine, self.weights_id) != (engine, weights_id):
            raise InvalidValueError(
                f"The speaker latents were computed by {self.engine} {self.weights_id}; these "
                f"weights are {engine} {weights_id}. Compute them again from the clips of the "
                "voice.",
                code="bundle_incompatible",
            )

    def to_bytes(self, notes: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """Return the content of a safetensors file. notes: further entries of its metadata."""
        # a dense copy of each: safetensors refuses views and shared memory
        tensors = {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in self.tensors.items()
        }
        own = {"format": FORMAT, "engine": self.engine, "weights_id": self.weights_id}
        metadata = {**notes, **own}
        return safetensors.torch.save(tensors, metadata)

    def save(self, path: Path) -> None:
        """Write a safetensors file atomically."""
        write_bytes(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> SpeakerLatents:
        """Read a saved file. Raises ValueError where it is no such file."""
        try:
            with safe_open(path, framework="pt") as file:
                meta = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise InvalidValueError(
                f"{path} is not a readable speaker file ({error}). Delete it; it is recomputed "
                "from the voice's clips.",
                code="bad_latents",
            ) from error
        if meta.get("format") != FORMAT:
            raise InvalidValueError(
                f"{path} is of format {meta.get('format')!r}, not {FORMAT!r}. Delete it; it is "
                "recomputed from the voice's clips.",
                code="bad_latents",
            )
        if not {"engine", "weights_id"} <= meta.keys():
            raise InvalidValueError(
                f"{path} does not say which weights computed it. Delete it; it is recomputed from "
                "the voice's clips.",
                code="bad_latents",
            )
        return cls(engine=meta["engine"], weights_id=meta["weights_id"], tensors=tensors)


def interpolate_latents(parts: Sequence[tuple[SpeakerLatents, float]]) -> SpeakerLatents:
    """Return the weighted mean of several speakers; weights count relative to their sum.

    A tensor that only some of the speakers have is left out. Raises ValueError for weights that
    are negative or all 0, and for speakers of different weights or shapes.
    """
    if not parts:
        raise ValueError("A blend needs at least one speaker.")
    total = sum(weight for _, weight in parts)
    if min(weight for _, weight in parts) < 0 or not 0 < total < float("inf"):
        given = ", ".join(f"{weight:g}" for _, weight in parts)
        raise ValueError(
            f"The weights of a blend are {given}; they must be 0 or more, one above 0."
        )
    first = parts[0][0]
    for other, _ in parts:
        if (other.engine, other.weights_id) != (first.engine, first.weights_id):
            raise InvalidValueError(
                f"Speaker latents of {first.engine} {first.weights_id} and {other.engine} "
                f"{other.weights_id} cannot be blended. Use the same engine and weights.",
                code="bundle_incompatible",
            )
    shared = [key for key in first.tensors if all(key in part.tensors for part, _ in parts)]
    tensors = {key: _compute_weighted_mean(key, parts, total) for key in shared}
    return SpeakerLatents(engine=first.engine, weights_id=first.weights_id, tensors=tensors)


def _compute_weighted_mean(
    key: str, parts: Sequence[tuple[SpeakerLatents, float]], total: float
) -> Tensor:
    shapes = {tuple(part.tensors[key].shape) for part, _ in parts}
    if len(shapes) > 1:
        raise InvalidValueError(
            f"{key!r} has the shapes {sorted(shapes)} and cannot be blended.",
            code="bundle_incompatible",
        )
    weighted = [part.tensors[key].float() * (weight / total) for part, weight in parts]
    return torch.stack(weighted).sum(0).to(parts[0][0].tensors[key].dtype)

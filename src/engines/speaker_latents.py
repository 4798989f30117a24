"""What an engine has heard of a speaker, kept as safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import InvalidValueError

FORMAT = "testudo-conditioning-1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeakerLatents:
    """A speaker as one engine with one set of weights sees it; opaque to everybody else."""

    engine: str
    weights_id: str
    tensors: Mapping[str, Tensor]

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        tensors = {key: _copy_contiguous(value) for key, value in self.tensors.items()}
        meta = {"format": FORMAT, "engine": self.engine, "weights_id": self.weights_id}
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            save_file(tensors, part, metadata=meta)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> SpeakerLatents:
        """Read a saved conditioning. Raises ValueError for a file that is none."""
        try:
            with safe_open(path, framework="pt") as file:
                meta = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise InvalidValueError(
                f"{path} is not a readable speaker file ({error}). Delete it; it is made again "
                "from the voice's clips.",
                code="bad_latents",
            ) from error
        if meta.get("format") != FORMAT:
            raise ValueError(
                f"{path} is of format {meta.get('format')!r}, not {FORMAT!r}. Delete it; it is "
                "made again from the voice's clips."
            )
        return cls(engine=meta["engine"], weights_id=meta["weights_id"], tensors=tensors)


def interpolate_latents(parts: Sequence[tuple[SpeakerLatents, float]]) -> SpeakerLatents:
    """Return the weighted mean of several speakers; weights count relative to their sum.

    What only some of the speakers have (a slim one lacks a part) is left out of the blend.
    """
    if not parts:
        raise ValueError("A blend needs at least one speaker.")
    total = sum(weight for _, weight in parts)
    if min(weight for _, weight in parts) < 0 or not 0 < total < float("inf"):
        told = ", ".join(f"{weight:g}" for _, weight in parts)
        raise ValueError(f"The weights of a blend are {told}; they must be 0 or more, one above 0.")
    first = parts[0][0]
    for other, _ in parts:
        if (other.engine, other.weights_id) != (first.engine, first.weights_id):
            raise InvalidValueError(
                f"Speakers heard with {first.engine} {first.weights_id} and {other.engine} "
                f"{other.weights_id} cannot be blended. Use one engine and one set of weights.",
                code="bundle_incompatible",
            )
    shared = [key for key in first.tensors if all(key in part.tensors for part, _ in parts)]
    tensors = {key: _compute_weighted_mean(key, parts, total) for key in shared}
    return SpeakerLatents(engine=first.engine, weights_id=first.weights_id, tensors=tensors)


def _copy_contiguous(tensor: Tensor) -> Tensor:
    """A dense copy of its own: safetensors refuses views and shared memory."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


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

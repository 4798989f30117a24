"""Read and write encoder checkpoints: the published files, and those of our own training.

A file is a torch pickle, read with `weights_only`: the wrapper of Real-Time Voice Cloning
(`step, model_state, optimizer_state`), to which we add `kind`, `features`, `statistics` and
`partial_frames`; or a bare state dict; or AutoVC's (`model_b`). A .safetensors file holds the same
without the optimizer, as its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import InvalidValueError
from core.files import atomic_path
from core.serialization import ValidationError, from_dict, to_dict
from engines.model_files import ModelFileError
from engines.safetensors_io import read_pickle
from speakers.modules.feature_config import PITCH_CLASSES, FeatureConfig, FeatureStatistics
from speakers.modules.ge2e import GE2EEncoder
from speakers.modules.peewee import PeeweeEncoder
from speakers.modules.singer import SingerEncoder
from speakers.modules.xvector import XVectorEncoder

EncoderModel = GE2EEncoder | PeeweeEncoder
AnyEncoderModel = EncoderModel | XVectorEncoder
KINDS = ("ge2e", "singer", "peewee")
XVECTOR = "xvector"  # trained by recipes only
SINGER_HIDDEN = 768
SAFETENSORS = ".safetensors"
FACTS = ("step", "kind", "features", "statistics", "partial_frames")
AUTOVC_KEY, AUTOVC_PREFIX = "model_b", "module."
FEATURES_BY_BINS: Mapping[tuple[str, int], FeatureConfig] = {
    ("ge2e", 40): FeatureConfig(),
    (XVECTOR, 40): FeatureConfig(),
    ("peewee", 80): FeatureConfig(kind="peewee_mel", trim_silence=False),
    ("singer", 80): FeatureConfig(kind="singer_mel", trim_silence=False),
    ("singer", 80 + PITCH_CLASSES): FeatureConfig(
        kind="singer_mel", trim_silence=False, pitch_condition=True
    ),
}

# Any: a pickle's content until it is checked.


class EncoderFileError(InvalidValueError):
    """An encoder file is missing, damaged, or of another network."""

    code = "corrupt_weights"


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderCheckpoint:
    """A network with what it was saved with. optimizer_state: as `torch.optim.Adam` takes it;
    partial_frames: the frames that it was trained on at a time, None where the file does not say.
    """

    model: AnyEncoderModel
    kind: str
    features: FeatureConfig
    statistics: FeatureStatistics | None = None
    step: int = 0
    partial_frames: int | None = None
    optimizer_state: Mapping[str, Any] | None = None


def load_checkpoint(path: Path) -> EncoderCheckpoint:
    """Read a checkpoint; every weight must fit.  Raises EncoderFileError."""
    content = _read_safetensors(path) if path.suffix == SAFETENSORS else _read_pickle(path)
    weights, is_wrapped = _find_weights(path, content)
    stated = content.get("kind") if is_wrapped else None
    kind = stated if stated in (*KINDS, XVECTOR) else _infer_kind(weights)
    model = _build_model(path, kind, weights)
    if AUTOVC_KEY in content:
        own = model.state_dict()
        weights |= {name: own[name] for name in ("similarity_weight", "similarity_bias")}
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise EncoderFileError(f"{path.name} is of another network: {error}") from error
    found = content.get("step", 0) if is_wrapped else 0
    parts = content.get("partial_frames") if is_wrapped else None
    return EncoderCheckpoint(
        model=model.eval().requires_grad_(False),
        kind=kind,
        features=_read_features(path, content if is_wrapped else {}, kind, _count_bins(model)),
        statistics=_read_statistics(path, content if is_wrapped else {}),
        step=found if isinstance(found, int) else 0,
        partial_frames=parts if isinstance(parts, int) and parts > 0 else None,
        optimizer_state=content.get("optimizer_state") if is_wrapped else None,
    )


def save_checkpoint(path: Path, checkpoint: EncoderCheckpoint) -> None:
    """Write a checkpoint atomically, in the format that Real-Time Voice Cloning reads."""
    content: dict[str, Any] = {
        "step": checkpoint.step,
        "model_state": {k: v.detach().cpu() for k, v in checkpoint.model.state_dict().items()},
        "kind": checkpoint.kind,
        "features": to_dict(checkpoint.features),
        "statistics": to_dict(checkpoint.statistics),
        "partial_frames": checkpoint.partial_frames,
    }
    if path.suffix == SAFETENSORS:
        facts = {name: content[name] for name in FACTS}
        with atomic_path(path) as part:
            save_file(
                {k: v.contiguous() for k, v in content["model_state"].items()},
                part,
                {name: json.dumps(fact) for name, fact in facts.items()},
            )
        return
    if checkpoint.optimizer_state is not None:
        content["optimizer_state"] = checkpoint.optimizer_state
    with atomic_path(path) as part, part.open("wb") as file:
        torch.save(content, file)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise EncoderFileError(f"There is no encoder file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return {"model_state": weights} | {
            name: json.loads(facts[name]) for name in FACTS if name in facts
        }
    except (SafetensorError, ValueError) as error:
        raise EncoderFileError(f"{path.name} is damaged, or no encoder file.") from error


def _read_pickle(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise EncoderFileError(f"There is no encoder file {path}.")
    try:
        content = read_pickle(path)
    except (ModelFileError, KeyError) as error:
        raise EncoderFileError(f"{path.name} is damaged, or no encoder file.") from error
    if not isinstance(content, Mapping):
        raise EncoderFileError(f"{path.name} holds no weights of an encoder.")
    return content


def _find_weights(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, Tensor], bool]:
    """Return the weights under the names of our networks, and whether they were in a wrapper."""
    key = next((key for key in ("model_state", AUTOVC_KEY) if key in content), None)
    weights = content if key is None else content[key]
    is_table = isinstance(weights, Mapping) and weights
    if not is_table or not all(isinstance(value, Tensor) for value in weights.values()):
        raise EncoderFileError(f"{path.name} holds no weights of an encoder.")
    if key != AUTOVC_KEY:
        return dict(weights), key is not None
    short = {str(name).removeprefix(AUTOVC_PREFIX): value for name, value in weights.items()}
    return {name.replace("embedding.", "linear."): value for name, value in short.items()}, True


def _infer_kind(weights: Mapping[str, Tensor]) -> str:
    if "W" in weights and "projection_layer.weight" in weights:
        return "peewee"
    recurrent = weights.get("lstm.weight_hh_l0")
    is_large = recurrent is not None and recurrent.shape[-1] >= SINGER_HIDDEN
    return "singer" if is_large or "class_layer.weight" in weights else "ge2e"


def _build_model(path: Path, kind: str, weights: Mapping[str, Tensor]) -> AnyEncoderModel:
    """Build the network with the sizes of the weights."""
    if kind == XVECTOR:
        return _build_xvector(path, weights)
    projection = "projection_layer" if kind == "peewee" else "linear"
    try:
        bins = weights["lstm.weight_ih_l0"].shape[1]
        embedding, hidden = weights[f"{projection}.weight"].shape
        layers = sum(name.startswith("lstm.weight_ih_l") for name in weights)
        classes = weights["class_layer.weight"].shape[0] if "class_layer.weight" in weights else 0
    except (KeyError, IndexError, ValueError) as error:
        raise EncoderFileError(f"{path.name} is no speaker encoder.") from error
    return build_model(
        kind, bins=bins, hidden=hidden, embedding=embedding, layers=layers, classes=classes
    )


def _build_xvector(path: Path, weights: Mapping[str, Tensor]) -> XVectorEncoder:
    try:
        hidden, bins, _ = weights["conv_in.weight"].shape
        embedding = len(weights["linear.bias"])
    except (KeyError, TypeError, ValueError) as error:
        raise EncoderFileError(f"{path.name} is no speaker encoder.") from error
    return XVectorEncoder(bins, hidden, embedding)


def build_model(
    kind: str, *, bins: int, hidden: int, embedding: int, layers: int, classes: int = 0
) -> EncoderModel:
    """Build an encoder of a kind with random weights.  Raises EncoderFileError for a wrong kind."""
    if kind == "ge2e":
        return GE2EEncoder(bins, hidden, embedding, layers)
    if kind == "singer":
        return SingerEncoder(bins, hidden, embedding, layers, classes)
    if kind == "peewee":
        return PeeweeEncoder(bins, hidden, embedding, layers)
    raise EncoderFileError(f"{kind!r} is no kind of encoder; there are {', '.join(KINDS)}.")


def _read_features(path: Path, content: Mapping[str, Any], kind: str, bins: int) -> FeatureConfig:
    if content.get("features") is None:
        known = FEATURES_BY_BINS.get((kind, bins))
        if known is None:
            raise EncoderFileError(
                f"{path.name} reads features of {bins} values, and does not say which."
            )
        return known
    try:
        features = from_dict(FeatureConfig, content["features"])
    except (ValidationError, InvalidValueError) as error:
        raise EncoderFileError(f"{path.name}: {error}") from error
    if features.bins != bins:
        raise EncoderFileError(
            f"{path.name} names features of {features.bins} values for a network that reads {bins}."
        )
    return features


def _read_statistics(path: Path, content: Mapping[str, Any]) -> FeatureStatistics | None:
    if content.get("statistics") is None:
        return None
    try:
        return from_dict(FeatureStatistics, content["statistics"])
    except ValidationError as error:
        raise EncoderFileError(f"{path.name}: {error}") from error


def _count_bins(model: AnyEncoderModel) -> int:
    if isinstance(model, XVectorEncoder):
        return model.conv_in.in_channels
    return model.lstm.input_size


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters())

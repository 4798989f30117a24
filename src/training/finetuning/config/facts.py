"""Facts of model, machine and dataset from which a configuration is proposed.

Of model files only the headers are read, no tensors.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.files import parse_json
from engines.model_files import CONFIG_FILE, ModelFileError, get_network_path, read_json
from tortoise.checkpoints.layout import MEL_STATS_FILE, decodes_with_codec
from tortoise.generation.text_length import PUBLISHED_TEXT_LIMIT, RESERVED_TOKENS

# Any: JSON.

SMALL_PARAMETERS = 50_000_000  # the published GPT has 423 million
MAX_HEADER_BYTES = 100_000_000  # bytes, by the format
PUBLISHED_CONVENTIONS = {"max_codes": 500, "gpt_rate": 22_050, "samples_per_code": 1024}
PUBLISHED_GPT = {
    **{"layers": 30, "model_dim": 1024, "heads": 16},
    **{"max_text_tokens": 402, "max_mel_tokens": 604},
}
PUBLISHED_DIFFUSION = {"layers": 10, "width": 1024, "heads": 16}
CODEC_SHAPE = {"layers": 12, "width": 256, "heads": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """One network of a model. size: bytes of its file."""

    parameters: int = 0
    size: int = 0
    layers: int = 0
    width: int = 0
    heads: int = 0

    @property
    def exists(self) -> bool:
        """Return whether the model contains the network."""
        return self.parameters > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts of a model.

    diffusion: what the second stage trains, the decoder of a speaker codec where there is no
    diffusion network;  max_text_tokens, max_clip_codes: limits of one clip.
    """

    name: str
    gpt: NetworkFacts
    diffusion: NetworkFacts
    dvae: NetworkFacts
    has_speaker_codec: bool = False
    max_text_tokens: int = PUBLISHED_TEXT_LIMIT - RESERVED_TOKENS
    max_clip_codes: int = PUBLISHED_CONVENTIONS["max_codes"]
    gpt_rate: int = PUBLISHED_CONVENTIONS["gpt_rate"]
    samples_per_code: int = PUBLISHED_CONVENTIONS["samples_per_code"]

    @property
    def is_small(self) -> bool:
        """Return whether it is as small as the starter model, which needs more training."""
        return self.gpt.parameters < SMALL_PARAMETERS


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The hardware of a run.

    device: "cpu", "cuda:0" …;  gpus: how many of that kind;  memory: bytes of one of them, None
    where unknown.
    """

    device: str = "cpu"
    memory: int | None = None
    cores: int = 1
    gpus: int = 0

    @property
    def is_cpu(self) -> bool:
        """Return whether training runs on the CPU."""
        return self.device == "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """Size of a dataset, without its dropped clips.

    seconds: of all training clips;  validation_s: of the validation clips;  longest_s: of the
    longest clip;  codes, tokens: the most in one clip.
    """

    name: str
    clips: int
    validation_clips: int = 0
    seconds: float = 0.0
    validation_s: float = 0.0
    longest_s: float = 0.0
    codes: int = 0
    tokens: int = 0


def read_model_facts(folder: Path, name: str) -> ModelFacts:
    """Read the facts of a model.

    Raises ModelFileError where its config, or a network that is there, cannot be read.
    """
    config = read_json(folder / CONFIG_FILE)
    if not isinstance(config, Mapping):
        raise ModelFileError(
            f"{folder / CONFIG_FILE} is not a JSON object. Download the model again."
        )
    rules = _get_positive_ints(
        config.get("conventions"), {**PUBLISHED_CONVENTIONS, "text_limit": PUBLISHED_TEXT_LIMIT}
    )
    gpt = _get_positive_ints(config.get("gpt"), PUBLISHED_GPT)
    if (folder / MEL_STATS_FILE).is_file():
        count_parameters(folder / MEL_STATS_FILE)  # refused where it is damaged
    has_codec = decodes_with_codec(folder)
    second = ("dvae", CODEC_SHAPE) if has_codec else ("diffusion", PUBLISHED_DIFFUSION)
    return ModelFacts(
        name=name,
        gpt=_read_network_facts(folder, "gpt", config, PUBLISHED_GPT),
        diffusion=_read_network_facts(folder, second[0], config, second[1]),
        dvae=_read_network_facts(folder, "dvae", config, {}),
        has_speaker_codec=has_codec,
        max_text_tokens=min(rules["text_limit"] - RESERVED_TOKENS, gpt["max_text_tokens"]),
        max_clip_codes=min(rules["max_codes"], gpt["max_mel_tokens"]),
        gpt_rate=rules["gpt_rate"],
        samples_per_code=rules["samples_per_code"],
    )


def count_parameters(file: Path) -> int:
    """Count the parameters in a safetensors file from its header.

    Raises ModelFileError where the file is damaged or truncated.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, MAX_HEADER_BYTES):
                raise ValueError("its header is longer than the file")
            header = parse_json(stream.read(length))
        tensors = [entry for key, entry in header.items() if key != "__metadata__"]
        end = max((entry["data_offsets"][1] for entry in tensors), default=0)
        if 8 + length + end != size:
            raise ValueError(f"it has {size:,} bytes of {8 + length + end:,}")
        return sum(math.prod(entry["shape"]) for entry in tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as cause:
        raise ModelFileError(
            f"{file} is damaged or truncated ({cause}). Download the model again."
        ) from cause


def _read_network_facts(
    folder: Path, name: str, config: Mapping[str, Any], usual: Mapping[str, int]
) -> NetworkFacts:
    file = get_network_path(folder, name)
    if name not in config or not file.is_file():
        return NetworkFacts()
    shape = _get_positive_ints(config[name], usual)
    return NetworkFacts(
        parameters=count_parameters(file),
        size=file.stat().st_size,
        layers=shape.get("layers", 0),
        width=shape.get("model_dim", shape.get("width", 0)),
        heads=shape.get("heads", 0),
    )


def _get_positive_ints(values: Any, usual: Mapping[str, int]) -> dict[str, int]:
    stated = values if isinstance(values, Mapping) else {}
    found = {key: stated.get(key, value) for key, value in usual.items()}
    return {
        key: value if isinstance(value, int) and value > 0 else usual[key]
        for key, value in found.items()
    }

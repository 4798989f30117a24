"""Published `.pth` files become a bundle, once.

They are read with `weights_only=True` and never otherwise: a pickle may run programs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.model_files import CONFIG_FILE, ModelFileError, read_json, write_atomically
from engines.safetensors_io import (
    REDOWNLOAD_HINT,
    check_weight_values,
    check_weights_match,
    find_tensor_problem,
    is_finite,
    read_pickle,
    read_tensors,
)
from engines.speaker_latents import SpeakerLatents
from tortoise.checkpoints.config import (
    ModelConfig,
    ModelConventions,
    get_architecture_class,
    read_config,
    write_config,
)
from tortoise.checkpoints.layout import MEL_STATS_FILE, TOKENIZER_FILE
from tortoise.checkpoints.loading import MelStats, build_network, save_mel_stats, save_network
from tortoise.checkpoints.published import PUBLISHED_DESCRIPTION, PublishedFile

STORAGE_DTYPES: Mapping[str, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
"""Precisions in which networks can be stored."""

PUBLISHED_TEXT_TOKENS = 255
PUBLISHED_CONVENTIONS = ModelConventions()


def create_model_folder(folder: Path, about: str = PUBLISHED_DESCRIPTION) -> None:
    """Create a config with the published conventions and without networks."""
    if not (folder / CONFIG_FILE).is_file():
        write_config(folder, ModelConfig(about=about, conventions=PUBLISHED_CONVENTIONS))


def is_converted(folder: Path, file: PublishedFile) -> bool:
    """Return whether the model already has the converted file."""
    if not file.network:
        return (folder / _get_output_name(file)).is_file()
    if not ((folder / CONFIG_FILE).is_file() and (folder / _get_output_name(file)).is_file()):
        return False
    return bool(getattr(read_config(folder), file.network) == get_published_architecture(file))


def convert_published_file(
    file: PublishedFile, source: Path, folder: Path, precision: str = "fp32"
) -> list[str]:
    """Turn one published file into its part of a bundle, its weights stored in PRECISIONS.

    Returns the keys that were dropped because nothing is known of them, for the user to see.
    """
    if file.name == "tokenizer.json":
        check_tokenizer(source)
        write_atomically(folder / TOKENIZER_FILE, lambda beside: shutil.copyfile(source, beside))
        return []
    if file.name == "mel_norms.pth":
        save_mel_stats(folder, MelStats(norms=read_mel_norms(source)))
        return []
    tensors, unknown = read_weights(file, source)
    architecture = get_published_architecture(file)
    network = build_network(file.network, architecture)
    check_weights_match(
        {key: tuple(value.shape) for key, value in tensors.items()}, network, str(source)
    )
    check_weight_values(tensors, network, str(source))
    network.load_state_dict(tensors, strict=True, assign=True)
    save_network(folder, file.network, network.float(), architecture, STORAGE_DTYPES[precision])
    return unknown


def get_published_architecture(file: PublishedFile) -> Any:
    """The architecture of a published network; Any: each has a dataclass of its own."""
    return getattr(get_architecture_class(file.network), file.architecture)()


def read_weights(file: PublishedFile, source: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Read the weights of one network, without entries that are not weights.

    Returns them and, where the published keys are not certain, the unknown keys.
    """
    content = read_pickle(source)
    if file.container and isinstance(content, Mapping) and file.container in content:
        content = content[file.container]
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(
            f"{source} holds {type(content).__name__}, not weights. {REDOWNLOAD_HINT}"
        )
    odd = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise ModelFileError(
            f"{source} contains {odd[0]!r} besides weights; it looks like a training state. "
            f"{REDOWNLOAD_HINT}"
        )
    tensors = {key: value for key, value in content.items() if not file.is_ignored_key(key)}
    if file.is_strict:
        return tensors, []
    expected = build_network(file.network, get_published_architecture(file)).state_dict()
    unknown = sorted(tensors.keys() - expected.keys())
    return {key: value for key, value in tensors.items() if key in expected}, unknown


def check_tokenizer(source: Path) -> None:
    """Refuse a file that is not the tokenizer of the published weights, whatever its spelling."""
    described = read_json(source)
    model = described.get("model", {}) if isinstance(described, dict) else {}
    vocabulary = model.get("vocab", {}) if isinstance(model, dict) else {}
    if not isinstance(vocabulary, dict):
        vocabulary = {}
    ids = [number for number in vocabulary.values() if type(number) is int]
    if sorted(ids) != list(range(PUBLISHED_TEXT_TOKENS)) or vocabulary.get("[SPACE]") != 2:
        raise ModelFileError(
            f"{source} is not the published tokenizer: it has {len(vocabulary)} tokens, not "
            f"{PUBLISHED_TEXT_TOKENS} with ids from 0. {REDOWNLOAD_HINT}"
        )


def read_mel_norms(source: Path) -> Tensor:
    """Read the divisors of the 80 mel bands, as published or as safetensors: (80,)."""
    if source.suffix == ".safetensors":
        norms = read_tensors(source).get("mel_norms")
    else:
        norms = read_pickle(source)
    if (
        not isinstance(norms, Tensor)
        or norms.shape != (80,)
        or not _is_usable(norms)
        or not bool((norms != 0).all())
    ):
        raise ModelFileError(
            f"{source} does not hold one divisor for each of 80 mel bands, finite and not 0. "
            f"{REDOWNLOAD_HINT}"
        )
    return norms.float()


def read_voice_latents(
    source: Path, weights_id: str, widths: tuple[int, int] | None = None
) -> SpeakerLatents:
    """Read conditioning latents saved by the original program: of the GPT and of the diffusion
    network.

    weights_id: of the weights that they are used with; widths: expected widths of the two latents,
    if given. Raises BundleError.
    """
    content = read_pickle(source)
    pair = isinstance(content, (tuple, list)) and len(content) == 2
    if not pair or not all(_is_latent(part) for part in content):
        raise ModelFileError(
            f"{source} holds no pair of latents (one row for the GPT, one for the diffusion "
            "network). A .pth file beside clips contains their audio; use the clips."
        )
    found = tuple(part.shape[-1] for part in content)
    if widths is not None and found != widths:
        raise ModelFileError(
            f"{source} holds latents {found[0]:,} and {found[1]:,} wide; these weights need "
            f"{widths[0]:,} and {widths[1]:,}. They were computed with other weights: use "
            "those, such as the published ones, or add clips of the voice.",
            cli_hint="`testudo models download tortoise` downloads the published ones.",
        )
    gpt, diffusion = (part.float().mean(0, keepdim=True) for part in content)
    return SpeakerLatents(
        engine="tortoise", weights_id=weights_id, tensors={"gpt": gpt, "diffusion": diffusion}
    )


def _is_latent(part: object) -> bool:
    """Return whether the tensor has rows of finite numbers."""
    return isinstance(part, Tensor) and part.dim() == 2 and part.numel() > 0 and _is_usable(part)


def _is_usable(value: Tensor) -> bool:
    """Return whether the numbers of a tensor are floating-point, in memory and finite."""
    return not find_tensor_problem(value) and value.is_floating_point() and is_finite(value)


def _get_output_name(file: PublishedFile) -> str:
    names = {"tokenizer.json": TOKENIZER_FILE, "mel_norms.pth": MEL_STATS_FILE}
    return names.get(file.name) or f"{file.network}.safetensors"

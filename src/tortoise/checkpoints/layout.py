"""The files of a model folder: names, checksums and errors.

    models/starter/
        config.json             architectures and conventions (`tortoise.checkpoints.config`)
        tokenizer.json          and whatever it refers to
        mel_stats.safetensors   how mels are normalised
        gpt.safetensors …       one file per network
        checksums.json          what each tensor file held when it was written
        lora/                   of a LoRA finetune: adapter.safetensors, and gpt.safetensors as it
                                was before the training

Reading these facts needs no torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from engines.model_files import (
    CONFIG_FILE,
    TENSORS_SUFFIX,
    WEIGHTS_ID_LENGTH,
    ModelFileError,
    get_network_path,
    get_sha256,
    list_tensor_files,
    read_json,
)

TOKENIZER_FILE = "tokenizer.json"
MEL_STATS_FILE = "mel_stats.safetensors"

REQUIRED_NETWORKS = ("gpt", "clvp", "diffusion", "vocoder")
"""Networks that synthesis requires; all others are optional."""

OTHER_VOCODER = "istft_vocoder"
"""The network that a model may have in place of `vocoder`."""

CODEC = "dvae"
"""The network that decodes the codes of a model without a diffusion network: a speaker codec."""

LORA_DIR = "lora"
ADAPTER_FILE = "adapter.safetensors"
"""For each adapted projection NAME of the GPT: NAME.down (in, rank) and NAME.up (rank, out)."""

WEIGHTS_ID_FILES = tuple(
    f"{stem}{TENSORS_SUFFIX}"
    for stem in ("gpt", "clvp", "cvvp", "diffusion", "vocoder", "mel_stats")
)
"""Networks that determine `weights_id`; a different vocoder does not invalidate stored latents."""


def find_missing_files(folder: Path) -> list[str]:
    """Return the missing files that synthesis requires."""
    needed = [CONFIG_FILE, TOKENIZER_FILE, MEL_STATS_FILE]
    needed += [get_network_path(folder, name).name for name in REQUIRED_NETWORKS]
    if get_network_path(folder, OTHER_VOCODER).is_file():
        needed.remove(get_network_path(folder, "vocoder").name)
    if decodes_with_codec(folder):
        for name in ("clvp", "diffusion"):  # the codec ranks and decodes
            needed.remove(get_network_path(folder, name).name)
        needed += list_codec_files(folder)
    return [name for name in needed if not (folder / name).is_file()]


def get_adapter_paths(folder: Path) -> tuple[Path, Path]:
    """Return where a LoRA finetune has its adapter, and the GPT without it."""
    lora = folder / LORA_DIR
    return lora / ADAPTER_FILE, get_network_path(lora, "gpt")


def has_adapter(folder: Path) -> bool:
    """Return whether the strength of a LoRA adapter can be chosen for the model."""
    return all(path.is_file() for path in get_adapter_paths(folder))


def decodes_with_codec(folder: Path) -> bool:
    """Whether the config has a speaker codec and no diffusion network.

    False for a config that is missing or cannot be read; loading the model tells why.
    """
    config = _read_config(folder)
    codebook = config.get(CODEC)
    return isinstance(codebook, dict) and "levels" in codebook and "diffusion" not in config


def list_codec_files(folder: Path) -> list[str]:
    """Return the file of the speaker codec, and that of a speaker encoder of the model's own."""
    codebook = _read_config(folder).get(CODEC)
    encoder = codebook.get("speaker_encoder") if isinstance(codebook, dict) else None
    files = [get_network_path(folder, CODEC).name]
    if isinstance(encoder, str) and encoder.endswith(TENSORS_SUFFIX):
        files += [encoder] if encoder == Path(encoder).name else []
    return files


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / CONFIG_FILE)
    except (OSError, ModelFileError):
        return {}
    return config if isinstance(config, dict) else {}


def compute_weights_id(folder: Path) -> str:
    """Return the id of the weights that determine latents and speech, a hash of their files.

    Conditioning latents can be used only with the id that they were computed with.
    """
    digest = hashlib.sha256()
    codec = list_codec_files(folder) if decodes_with_codec(folder) else []
    for file in list_tensor_files(folder):
        if file.name in WEIGHTS_ID_FILES or file.name in codec:
            digest.update(f"{file.name} {get_sha256(file)}\n".encode())
    return digest.hexdigest()[:WEIGHTS_ID_LENGTH]

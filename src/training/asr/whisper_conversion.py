"""Convert a Whisper model in CTranslate2 format to a .pt file of openai-whisper."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from core.files import atomic_path
from training.asr.base import TranscribeError

SPECIFICATION, FORMAT_VERSION = "WhisperSpec", 6
MAX_NAME_BYTES, MAX_RANK, MAX_VARIABLE_BYTES = 256, 4, 2**32
_DTYPES = ("<f4", "i1", "<i2", "<i4", "<f2")
HEAD_CHANNELS = 64  # of every published Whisper
_PREFIXES = (
    (r"^(encoder|decoder)/layer_(\d+)/", r"\1.blocks.\2."),
    (r"^encoder/layer_norm/", "encoder.ln_post."),
    (r"^decoder/layer_norm/", "decoder.ln."),
    (r"^encoder/(conv\d)/", r"encoder.\1."),
    (r"^(encoder|decoder)/position_encodings/encodings$", r"\1.positional_embedding"),
    (r"^decoder/embeddings/weight$", "decoder.token_embedding.weight"),
    (r"self_attention/layer_norm/", "attn_ln."),
    (r"self_attention/", "attn/"),
    (r"(?<!cross_)attention/layer_norm/", "cross_attn_ln."),
    (r"attention/", "cross_attn/"),
    (r"ffn/layer_norm/", "mlp_ln."),
    (r"ffn/linear_0/", "mlp.0."),
    (r"ffn/linear_1/", "mlp.2."),
    (r"gamma$", "weight"),
    (r"beta$", "bias"),
)


def convert_ctranslate2_whisper(folder: Path, target: Path) -> Path:
    """Write the .pt file of a converted model that is not quantized; returns `target`.

    Raises TranscribeError for a file of another kind.
    """
    with (folder / "model.bin").open("rb") as file:
        try:
            variables = dict(_read_variables(file))
        except (struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
            raise TranscribeError(f"{folder} holds no Whisper model of CTranslate2.") from error
    state = {
        name: tensor
        for source, array in variables.items()
        for name, tensor in _rename(source, array)
    }
    try:
        dims = _infer_dims(state)
    except KeyError as error:
        raise TranscribeError(f"{folder} is quantized or incomplete: it lacks {error}.") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as part:
        torch.save({"dims": dims, "model_state_dict": state}, part)
    return target


def _read_variables(file: BinaryIO) -> Iterator[tuple[str, np.ndarray]]:
    """Read the weights of model.bin: (name, array); scalars, which are settings, are left out."""
    version = _unpack(file, "<I")
    name = _read_string(file)
    _unpack(file, "<I")  # revision of the specification
    if (version, name) != (FORMAT_VERSION, SPECIFICATION):
        raise ValueError(f"{name} of version {version}")
    for _ in range(_unpack(file, "<I")):
        name, rank = _read_string(file), _unpack(file, "<B")
        if rank > MAX_RANK:
            raise ValueError(f"{name} has {rank} axes")
        shape = [_unpack(file, "<I") for _ in range(rank)]
        dtype, size = np.dtype(_DTYPES[_unpack(file, "<B")]), _unpack(file, "<I")
        if size > MAX_VARIABLE_BYTES:
            raise ValueError(f"{name} has {size} bytes")
        array = np.frombuffer(file.read(size), dtype).reshape(shape)
        if rank and dtype.kind == "f":
            yield name, array


def _read_string(file: BinaryIO) -> str:
    size = _unpack(file, "<H")
    if size > MAX_NAME_BYTES:
        raise ValueError("a name is too long")
    return file.read(size)[:-1].decode()


def _unpack(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _rename(source: str, array: np.ndarray) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of openai-whisper that one variable of CTranslate2 holds."""
    name, tensor = source, torch.from_numpy(array.copy())
    for pattern, replacement in _PREFIXES:
        name = re.sub(pattern, replacement, name)
    layer = re.fullmatch(r"(.+)/linear_(\d)/(weight|bias)", name)
    if layer is None:
        yield name, tensor
        return
    attention, number, kind = layer.groups()
    projections = {
        ("attn", "0"): ("query", "key", "value"),
        ("attn", "1"): ("out",),
        ("cross_attn", "0"): ("query",),
        ("cross_attn", "1"): ("key", "value"),
        ("cross_attn", "2"): ("out",),
    }[attention.rsplit(".", 1)[-1], number]
    for projection, part in zip(projections, tensor.chunk(len(projections)), strict=True):
        if (projection, kind) != ("key", "bias"):  # keys have no bias in Whisper
            yield f"{attention}.{projection}.{kind}", part.clone()


def _infer_dims(state: dict[str, Tensor]) -> dict[str, int]:
    audio_ctx, audio_state = state["encoder.positional_embedding"].shape
    text_ctx, text_state = state["decoder.positional_embedding"].shape
    return {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": audio_ctx,
        "n_audio_state": audio_state,
        "n_audio_head": audio_state // HEAD_CHANNELS,
        "n_audio_layer": _count_layers(state, "encoder"),
        "n_vocab": state["decoder.token_embedding.weight"].shape[0],
        "n_text_ctx": text_ctx,
        "n_text_state": text_state,
        "n_text_head": text_state // HEAD_CHANNELS,
        "n_text_layer": _count_layers(state, "decoder"),
    }


def _count_layers(state: dict[str, Tensor], network: str) -> int:
    return sum(name.startswith(network) and name.endswith("mlp_ln.weight") for name in state)

"""A Whisper checkpoint from a .pt file, read so that it cannot run a program.

The file holds two things: "dims", ten numbers that describe the network, and "model_state_dict".
Whatever the numbers say is checked before anything of that size is built.
"""

from __future__ import annotations

import base64
import gzip
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from whisper import _ALIGNMENT_HEADS, Whisper
from whisper.model import ModelDimensions

from training.transcribe.base import TranscribeError

_ALLOWED: Mapping[str, range | tuple[int, ...]] = MappingProxyType(
    {
        "n_mels": (80, 128),
        "n_audio_ctx": (1500,),  # 30 s; the code around the network takes no other
        "n_audio_state": range(2, 4097),
        "n_audio_head": range(1, 65),
        "n_audio_layer": range(1, 65),
        "n_vocab": (51_864, 51_865, 51_866),
        "n_text_ctx": range(8, 4097),
        "n_text_state": range(2, 4097),
        "n_text_head": range(1, 65),
        "n_text_layer": range(1, 65),
    }
)
_ADVICE = "Take a .pt file of openai-whisper, such as base.pt."


def load_whisper(path: Path) -> Whisper:
    """Build the network of a .pt file on the processor, ready to listen.

    Raises TranscribeError for a file that is missing, damaged, dangerous or something else.
    """
    checkpoint = _read(path)
    if not isinstance(checkpoint, Mapping) or not {"dims", "model_state_dict"} <= set(checkpoint):
        raise TranscribeError(
            f"{path.name} is no Whisper model: it lacks 'dims' or 'model_state_dict'. {_ADVICE} "
            "A model from transformers has to be converted first."
        )
    dims = _dims(path, checkpoint["dims"])
    _check_shapes(path, dims, checkpoint["model_state_dict"])
    network = Whisper(dims)
    try:
        network.load_state_dict(checkpoint["model_state_dict"])
    except RuntimeError as error:
        raise TranscribeError(
            f"{path.name} does not hold the network that it describes. {_ADVICE}"
        ) from error
    _choose_heads(network, path)
    return network.eval()


def _read(path: Path) -> Any:  # Any: whatever the file holds
    if not path.is_file():
        raise TranscribeError(f"There is no file {path}. {_ADVICE}")
    try:
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise TranscribeError(
            f"{path.name} is damaged, or holds more than numbers; a file that could run a program "
            f"is not opened. {_ADVICE}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise TranscribeError(f"{path.name} is damaged or cut short. Fetch it again.") from error


def _dims(path: Path, plain: Any) -> ModelDimensions:  # Any: whatever the file holds
    names = [field.name for field in fields(ModelDimensions)]
    if not isinstance(plain, Mapping) or set(plain) != set(names):
        raise TranscribeError(f"{path.name}: its 'dims' do not describe a Whisper model. {_ADVICE}")
    for name in names:
        value = plain[name]
        if type(value) is not int or value not in _ALLOWED[name]:
            raise TranscribeError(
                f"{path.name}: its {name} is {value!r}, which no Whisper model has. {_ADVICE}"
            )
    dims = ModelDimensions(**plain)
    for part in ("audio", "text"):
        state, heads = plain[f"n_{part}_state"], plain[f"n_{part}_head"]
        if state % heads or state % 2:
            raise TranscribeError(
                f"{path.name}: {state} channels cannot be shared by {heads} heads. {_ADVICE}"
            )
    return dims


def _check_shapes(path: Path, dims: ModelDimensions, state: Any) -> None:  # Any: see above
    """Refuse dims that speak of a larger network than the file holds, before it is built."""
    wanted = {
        "encoder.positional_embedding": (dims.n_audio_ctx, dims.n_audio_state),
        "decoder.positional_embedding": (dims.n_text_ctx, dims.n_text_state),
        "decoder.token_embedding.weight": (dims.n_vocab, dims.n_text_state),
        f"encoder.blocks.{dims.n_audio_layer - 1}.mlp_ln.weight": (dims.n_audio_state,),
        f"decoder.blocks.{dims.n_text_layer - 1}.mlp_ln.weight": (dims.n_text_state,),
    }
    held = state if isinstance(state, Mapping) else {}
    for name, shape in wanted.items():
        tensor = held.get(name)
        if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape:
            raise TranscribeError(
                f"{path.name} does not hold the network that it describes: {name} should be "
                f"{shape}. {_ADVICE}"
            )


def _choose_heads(network: Whisper, path: Path) -> None:
    """Let the attention heads that follow the sound best tell the times of words."""
    dump = _ALIGNMENT_HEADS.get(path.stem)
    heads = network.dims.n_text_layer * network.dims.n_text_head
    if dump is not None and len(gzip.decompress(base64.b85decode(dump))) == heads:
        network.set_alignment_heads(dump)

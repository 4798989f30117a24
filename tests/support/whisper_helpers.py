"""Whisper checkpoints of the real format, small and untrained: what they write down is junk."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch
from whisper import Whisper
from whisper.model import ModelDimensions

MULTILINGUAL = ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=16,
    n_audio_head=2,
    n_audio_layer=1,
    n_vocab=51_865,
    n_text_ctx=32,
    n_text_state=16,
    n_text_head=2,
    n_text_layer=2,
)
ENGLISH = replace(MULTILINGUAL, n_vocab=51_864)


def write_whisper(path: Path, dims: ModelDimensions = MULTILINGUAL, seed: int = 1) -> Path:
    """Write a .pt file as openai-whisper publishes them, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Whisper(dims)
        torch.nn.init.normal_(network.decoder.positional_embedding)
    state = {key: value.half() for key, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": asdict(dims), "model_state_dict": state}, path)
    return path

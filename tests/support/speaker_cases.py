"""What the tests of speaker encoders read beside the reference cases: recordings and sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support.sv2tts_cases import ROOT, Sv2ttsCase

SPEECH_DIR = Path(os.environ.get("SPEECH_DIR", ROOT.parent / "shared" / "speech"))


def count_layers(case: Sv2ttsCase) -> int:
    """The LSTM layers of a case's weights."""
    return sum(name.startswith("lstm.weight_ih_l") for name in case.group("weights"))


def to_float(wave: Tensor) -> Any:
    """16-bit samples as float32 in [-1, 1], a NumPy array."""
    return (wave.to(torch.float32) / 32_768).numpy()


def get_speech(name: str) -> Path:
    """A recording of the shared speech; skips where it is missing."""
    path = SPEECH_DIR / name.removeprefix("shared/speech/")
    if not path.is_file():
        pytest.skip(f"no recording {path}")
    return path

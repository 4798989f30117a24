"""Golden cases of the SV2TTS systems: one JSON file each, tensors in a .safetensors beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
GOLDEN_DIR = Path(os.environ.get("SV2TTS_GOLDEN_DIR", SHARED / "reference" / "sv2tts"))
SPEECH_DIR = Path(os.environ.get("SPEECH_DIR", SHARED / "speech"))
WEIGHTS, INPUT, OUTPUT = "weights/", "in/", "out/"


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenCase:
    """One case. facts: the JSON;  tensors: by their full names."""

    name: str
    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def load_weights(self, model: nn.Module) -> None:
        """Load the case's weights, all of them."""
        found = {
            name.removeprefix(WEIGHTS): value
            for name, value in self.tensors.items()
            if name.startswith(WEIGHTS)
        }
        model.load_state_dict(found, strict=True)

    def count_layers(self) -> int:
        """The LSTM layers of the case's weights."""
        return sum(name.startswith(f"{WEIGHTS}lstm.weight_ih_l") for name in self.tensors)


def find_cases(stage: str, prefix: str) -> list[Any]:
    """Return a pytest parameter for each case of a stage; one that skips where there is none."""
    paths = sorted((GOLDEN_DIR / stage).glob(f"{prefix}*.json"))
    if not paths:
        skipped = pytest.mark.skip(reason=f"no case {stage}/{prefix}* under {GOLDEN_DIR}")
        return [pytest.param(None, marks=[skipped, pytest.mark.golden], id=f"no {prefix}")]
    return [pytest.param(path, marks=pytest.mark.golden, id=path.stem) for path in paths]


def read_case(path: Path) -> GoldenCase:
    """Read one case."""
    tensors = path.with_suffix(".safetensors")
    return GoldenCase(
        name=path.stem,
        facts=json.loads(path.read_text(encoding="utf-8")),
        tensors=load_file(tensors) if tensors.is_file() else {},
    )


def to_float(wave: Tensor) -> Any:
    """16-bit samples as float32 in [-1, 1], a NumPy array."""
    return (wave.to(torch.float32) / 32_768).numpy()


def get_speech(name: str) -> Path:
    """A recording of the shared speech; skips where it is missing."""
    path = SPEECH_DIR / name.removeprefix("shared/speech/")
    if not path.is_file():
        pytest.skip(f"no recording {path}")
    return path

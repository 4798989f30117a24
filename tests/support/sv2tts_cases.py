"""Read the reference cases of the SV2TTS family: <stage>/<case>.json beside <case>.safetensors.

    @sv2tts_cases("vocoder", "forward")
    def test_wavernn_agrees_with_the_reference(case: Sv2ttsCase) -> None: ...

Every case of the stage whose name begins so runs, so further cases need no change of the code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
FALLBACK = ROOT.parent / "shared" / "reference" / "sv2tts"
FOLDER = Path(os.environ.get("SV2TTS_GOLDEN_DIR", FALLBACK))


@dataclass(frozen=True)
class Sv2ttsCase:
    """One case; path: without ending."""

    path: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The JSON of the case."""
        read: dict[str, Any] = json.loads(self.path.with_suffix(".json").read_text("utf-8"))
        return read

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return load_file(self.path.with_suffix(".safetensors"))

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors `name/...`, without the prefix."""
        return {
            key.removeprefix(f"{name}/"): value
            for key, value in self.tensors.items()
            if key.startswith(f"{name}/")
        }


def sv2tts_cases(stage: str, prefix: str) -> Callable[[Any], Any]:
    """Run a test on every case of a stage whose name begins with the prefix."""
    paths = sorted((FOLDER / stage).glob(f"{prefix}*.json"))
    if not paths:
        reason = f"there are no cases {stage}/{prefix}*.json; SV2TTS_GOLDEN_DIR names their folder"
        return pytest.mark.parametrize(
            "case", [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
        )
    cases = [pytest.param(Sv2ttsCase(path.with_suffix("")), id=path.stem) for path in paths]
    return pytest.mark.parametrize("case", cases)

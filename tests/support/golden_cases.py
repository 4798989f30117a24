"""Read the reference vectors: which cases exist, what went in, and whether what came out agrees.

    @golden("univnet")
    def test_univnet_agrees_with_the_reference(case: Case) -> None:
        net = load_strictly(UnivNet(config_of(case.constructor)), case.state())
        for call in case.calls:
            call.check(wav=net(call.args["mel"], call.args["z"]))

A case belongs to the component with the longest name that its file name starts with, so that
further cases (`univnet_c`, `univnet_training_7`) run as soon as they lie in the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
FALLBACK = ROOT.parent / "shared" / "reference" / "tortoise" / "golden"
GOLDEN = Path(os.environ.get("GOLDEN_DIR", FALLBACK))

COMPONENTS = [
    *["ar_sampling", "bigvgan", "classifier", "clvp", "conditioning_audio", "cvvp"],
    *["diffusion_schedule", "diffusion_steps", "diffusion_tts", "dlas_gpt_training", "dvae"],
    *["e2e_mini", "hifigan", "mel_dvae_22k", "mel_univnet_24k", "pipeline_utils", "rlg"],
    *["streaming", "text_tokenizer", "unified_voice", "univnet", "univnet_training"],
]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One output of the reference and how near ours must come."""

    name: str
    value: Tensor
    compare: str  # "exact" | "allclose"
    atol: float = 0.0
    rtol: float = 0.0

    def check(self, actual: Tensor) -> None:
        actual = torch.as_tensor(actual).detach().cpu().to(self.value.dtype)
        assert actual.shape == self.value.shape, f"{self.name}: {tuple(actual.shape)}"
        torch.testing.assert_close(
            actual,
            self.value,
            atol=self.atol,
            rtol=self.rtol,
            equal_nan=True,
            msg=lambda text: f"{self.name}: {text}",
        )


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the reference: method, arguments with tensors filled in, expected outputs."""

    method: str
    args: Mapping[str, Any]
    outputs: Mapping[str, Expected]
    note: str

    def check(self, **actual: Tensor) -> None:
        """Compare outputs by name; a name that the case does not have is a mistake in the test."""
        for name, value in actual.items():
            self.outputs[name].check(value)


@dataclass(frozen=True)
class Case:
    """One golden case, read when first used."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def json(self) -> dict[str, Any]:
        return json.loads(self.path.read_text(encoding="utf-8"))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the case under its full key (`in/…`, `out/…`, `state/…`, `rng/…`)."""
        file = self.path.with_suffix(".safetensors")
        return load_file(file) if file.exists() else {}

    @property
    def constructor(self) -> dict[str, Any]:
        return self.json["constructor"]

    def state(self, model: str = "") -> dict[str, Tensor]:
        """The state dict under published names; `model` picks one of an end-to-end case."""
        prefix = f"state/{model}/" if model else "state/"
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

    @property
    def rng(self) -> list[Tensor]:
        """The random draws of the reference, in order."""
        return [self.tensors[draw["tensor"]] for draw in self.json.get("rng", [])]

    @cached_property
    def calls(self) -> list[Call]:
        return [self._call(call) for call in self.json["calls"]]

    def _call(self, call: dict[str, Any]) -> Call:
        outputs = {
            name: Expected(
                name=f"{self.name} {call['method']} {name}",
                value=self.tensors[output["tensor"]],
                compare=output["compare"],
                atol=output.get("atol", 0.0),
                rtol=output.get("rtol", 0.0),
            )
            for name, output in call["outputs"].items()
        }
        args = {name: self._resolve(value, name) for name, value in call["args"].items()}
        return Call(method=call["method"], args=args, outputs=outputs, note=call.get("note", ""))

    def _resolve(self, value: Any, name: str) -> Any:
        """Fill in tensors; int16 audio (`wav*`, `voice*`) leaves as float in [-1, 1]."""
        if isinstance(value, list):
            return [self._resolve(item, name) for item in value]
        if not (isinstance(value, dict) and "tensor" in value):
            return value
        tensor = self.tensors[value["tensor"]]
        if tensor.dtype == torch.int16 and name.startswith(("wav", "voice")):
            tensor = tensor.float() * float(Fraction(value.get("scale", "1/32768")))
        return tensor.repeat(*value["repeat"]) if "repeat" in value else tensor


def component_of(name: str) -> str:
    """The component whose name is the longest beginning of a case's name ("" for none)."""
    owners = [c for c in COMPONENTS if name == c or name.startswith(f"{c}_")]
    return max(owners, key=len, default="")


def find_cases(*components: str) -> list[Case]:
    return [Case(p) for p in sorted(GOLDEN.glob("*.json")) if component_of(p.stem) in components]


def golden(*components: str) -> Callable[[Any], Any]:
    """Run a test once for each case of these components; skip with a reason where there is none."""
    found = [pytest.param(case, id=case.name) for case in find_cases(*components)]
    missing = pytest.mark.skip(reason=f"no golden case {'/'.join(components)} in {GOLDEN}")
    params = found or [pytest.param(None, id="missing", marks=missing)]

    def mark(test: Any) -> Any:
        return pytest.mark.golden(pytest.mark.parametrize("case", params)(test))

    return mark


def load_strictly(module: torch.nn.Module, state: dict[str, Tensor]) -> torch.nn.Module:
    """The module in eval mode with exactly these weights."""
    module.load_state_dict(state, strict=True)
    return module.eval()

"""The autoregressive network at the size of a golden case."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from golden_cases import load_strictly
from tortoise.gpt import Gpt, GptConfig


def gpt_of(
    constructor: dict[str, Any], state: dict[str, Tensor], residual_from_norm: bool = False
) -> Gpt:
    kept = ["layers", "model_dim", "heads", "max_text_tokens", "max_mel_tokens"]
    kept += ["max_conditioning_inputs", "start_text_token"]
    kept += ["number_mel_codes", "start_mel_token", "stop_mel_token"]
    config = GptConfig(
        **{name: constructor[name] for name in kept},
        number_text_tokens=state["text_embedding.weight"].shape[0],
        residual_from_norm=residual_from_norm,
    )
    return load_strictly(Gpt(config), state)

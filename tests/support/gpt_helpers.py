"""The autoregressive network of a golden case, and the original's way to draw codes from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from support.golden_cases import load_strictly
from tortoise.generation.kv_cache import KVCacheDecoder, prefill
from tortoise.generation.sampling import (
    FilteredLogits,
    apply_repetition_penalty,
    filter_top_k,
    filter_top_p,
)
from tortoise.modules.gpt import Gpt, GptConfig

OUT = -1e30  # how the reference writes "cannot be drawn"
TOP_K = 50  # in force in the original although it never asks for it


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


def whole(candidates: FilteredLogits, vocabulary: int) -> Tensor:
    """Scores of every code again.  Returns (r, vocabulary), OUT for what is not listed."""
    scores = candidates.scores.clamp(min=OUT)
    full = torch.full((scores.shape[0], vocabulary), OUT)
    return full.scatter(1, candidates.codes, scores)


@torch.no_grad()
def drawn_as_the_original(
    gpt: Gpt,
    prefix_of: tuple[Tensor, Tensor],
    rows: int,
    longest: int,
    knobs: Mapping[str, Any],
    rng: torch.Generator,
) -> Tensor:
    """Our steps and filters, but one multinomial for all rows, and none of them leaves.

    prefix_of: conditioning and text.  Returns (rows, m) with m <= longest, padded with stop.
    """
    config = gpt.config
    said = torch.zeros(rows, config.number_mel_codes, dtype=torch.bool)
    said[:, [1, config.start_mel_token]] = True  # its prompt is a list of these two
    codes = torch.full((rows,), config.start_mel_token)
    alive, drawn = torch.ones(rows, dtype=torch.bool), []
    stepper = KVCacheDecoder(gpt, prefill(gpt, *prefix_of), rows)
    while len(drawn) < longest and alive.any():
        logits = apply_repetition_penalty(
            gpt.mel_head(stepper.decode_step(codes)), said, knobs["repetition_penalty"]
        )
        best = filter_top_k(logits / knobs["temperature"], TOP_K)
        final = whole(filter_top_p(best, knobs["top_p"]), logits.shape[1])
        codes = torch.multinomial(final.softmax(-1), 1, generator=rng)[:, 0]
        codes = torch.where(alive, codes, config.stop_mel_token)
        alive &= codes != config.stop_mel_token
        said.scatter_(1, codes[:, None], True)
        drawn.append(codes)
    return torch.stack(drawn, dim=1)

"""Diffusion networks that several test modules use: of a golden case, and a tiny one."""

from __future__ import annotations

from typing import Any

import torch

from support.golden_cases import Case, load_strictly
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder


def config_of(constructor: dict[str, Any]) -> DiffusionConfig:
    assert constructor["out_channels"] == 2 * constructor["in_channels"]
    return DiffusionConfig(
        width=constructor["model_channels"],
        layers=constructor["num_layers"],
        heads=constructor["num_heads"],
        mel_bands=constructor["in_channels"],
        latent_width=constructor["in_latent_channels"],
        codes=constructor["in_tokens"],
    )


def decoder_of(case: Case) -> DiffusionDecoder:
    net = DiffusionDecoder(config_of(case.constructor))
    load_strictly(net, case.state())
    return net


def tiny_decoder(seed: int = 0) -> DiffusionDecoder:
    """A tiny network whose zero-initialised parts are alive."""
    generator = torch.Generator().manual_seed(seed)
    net = DiffusionDecoder(DiffusionConfig.tiny())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return net.eval()

"""A whole bundle small enough for tests: every network at a tiny size that fits the others.

    bundle = load_bundle(make_tiny_bundle(tmp_path / "tiny", seed=0))

It speaks noise, but it speaks: 20 codes, 80- and 100-band mels, 24 kHz.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tortoise.checkpoints.config import NETWORK_CLASSES, ModelConfig, ModelConventions, write_config
from tortoise.checkpoints.layout import TOKENIZER_FILE
from tortoise.checkpoints.loading import MelStats, save_mel_stats, save_network
from tortoise.modules.classifier import ClassifierConfig
from tortoise.modules.clvp import ClvpConfig
from tortoise.modules.cvvp import CvvpConfig
from tortoise.modules.diffusion_decoder import DiffusionConfig
from tortoise.modules.dvae import DvaeConfig
from tortoise.modules.gpt import GptConfig
from tortoise.modules.random_latents import RandomLatentConfig
from tortoise.modules.vocoders.bigvgan import BigVganConfig
from tortoise.modules.vocoders.hifigan import HifiganConfig
from tortoise.modules.vocoders.istft_vocoder import IstftVocoderConfig
from tortoise.modules.vocoders.univnet import UnivNetConfig

CODES = 20
START_CODE, STOP_CODE = CODES, CODES + 1
GPT_WIDTH = 32
DIFFUSION_LATENT = 2 * DiffusionConfig.tiny().width
LETTERS = "!'(),-./:;?abcdefghijklmnopqrstuvwxyz"
TEXT_TOKENS = 3 + len(LETTERS)

CONVENTIONS = ModelConventions(
    text_limit=60,
    max_codes=24,
    calm_code=3,
    calm_run=4,
    fixup_codes=(1, 1, 2),
    gpt_clip_samples=22_050,
    diffusion_clip_samples=24_000,
)

ARCHITECTURES: dict[str, Any] = {
    "gpt": replace(
        GptConfig.tiny(),
        model_dim=GPT_WIDTH,
        number_text_tokens=TEXT_TOKENS + 1,
        start_text_token=TEXT_TOKENS,
        number_mel_codes=CODES + 2,
        start_mel_token=START_CODE,
        stop_mel_token=STOP_CODE,
    ),
    "clvp": replace(ClvpConfig.tiny(), text_tokens=TEXT_TOKENS + 1, codes=CODES + 2),
    "cvvp": replace(CvvpConfig.tiny(), mel_bands=80, codes=CODES + 2),
    "diffusion": replace(
        DiffusionConfig.tiny(), mel_bands=100, latent_width=GPT_WIDTH, codes=CODES + 1
    ),
    "vocoder": replace(UnivNetConfig.tiny(), mel_bands=100, strides=(8, 8, 4)),
    "bigvgan": replace(
        BigVganConfig.tiny(), mel_bands=100, upsample_rates=(16, 16), upsample_kernels=(32, 32)
    ),
    "istft_vocoder": IstftVocoderConfig.tiny(),
    "hifigan": replace(
        HifiganConfig.tiny(),
        latent_dim=GPT_WIDTH,
        voice_dim=GPT_WIDTH,
        upsample_rates=(16, 16),
        upsample_kernels=(32, 32),
    ),
    "random_gpt": RandomLatentConfig(channels=GPT_WIDTH),
    "random_diffusion": RandomLatentConfig(channels=DIFFUSION_LATENT),
    "dvae": replace(DvaeConfig.tiny(), mel_bands=80, codes=CODES),
    "classifier": ClassifierConfig.tiny(),
}


def make_tiny_bundle(folder: Path, seed: int = 0) -> Path:
    """Write a bundle of random networks; equal seeds give equal bundles. Returns the folder."""
    config = ModelConfig(about="random weights for tests", conventions=CONVENTIONS)
    write_config(folder, config)
    write_tiny_tokenizer(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_mel_stats(folder, MelStats(norms=-torch.rand(80) * 8 - 1.5))
        for name, architecture in ARCHITECTURES.items():
            save_network(folder, name, random_network(name), architecture)
    return folder


def random_network(name: str) -> nn.Module:
    """A tiny network none of whose parameters is zero, so that every one of them is heard."""
    network = NETWORK_CLASSES[name](ARCHITECTURES[name])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return network.eval()


def write_tiny_tokenizer(folder: Path) -> None:
    """Write a tokenizer of the published kind that knows single letters only."""
    vocabulary = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2}
    vocabulary |= {letter: 3 + number for number, letter in enumerate(LETTERS)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER_FILE).write_text(bpe_tokenizer(vocabulary), encoding="utf-8")


def bpe_tokenizer(vocabulary: dict[str, int]) -> str:
    """A tokenizer.json of the published kind, without merges."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    special = [
        {"id": number, "special": True, "content": token, **flags}
        for token, number in list(vocabulary.items())[:3]
    ]
    model = {"type": "BPE", "unk_token": "[UNK]", "vocab": vocabulary, "merges": []}
    absent = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
    described = {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {**model, **dict.fromkeys(absent), "fuse_unk": False},
        **dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder")),
    }
    return json.dumps(described)

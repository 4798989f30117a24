"""A tiny model with a speaker codec, a speaker encoder of random weights, and a humming teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from quick import converter, teacher
from speakers.embedding import Encoder
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.ge2e import GE2EEncoder
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.loading import save_network
from tortoise.modules.speaker_codec import SpeakerCodec, SpeakerCodecConfig

WORD_S = 0.25  # of the humming teacher, at speed 1


def make_codec(seed: int = 0, config: SpeakerCodecConfig | None = None) -> SpeakerCodec:
    """A codec none of whose parameters is zero, so that speaker and codes are both heard."""
    config = config or SpeakerCodecConfig.tiny()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codec = SpeakerCodec(config)
        with torch.no_grad():
            for parameter in codec.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return codec.eval()


def make_codec_bundle(folder: Path, seed: int = 0) -> Path:
    """Write the tiny bundle with a speaker codec in place of its discrete VAE."""
    make_tiny_bundle(folder, seed)
    codec = make_codec(seed)
    save_network(folder, "dvae", codec, codec.config)
    return folder


def make_encoder() -> Encoder:
    """A speaker encoder of random weights that takes noise for speech."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = GE2EEncoder(hidden=16, layers=1).requires_grad_(False).eval()
    config = FeatureConfig(trim_silence=False)
    return Encoder(
        name="tiny", kind="ge2e", feature_config=config, model=model, device=torch.device("cpu")
    )


def hum(text: str, speed: float = 1.0, seed: int = 0) -> NDArray[np.float32]:
    """A tone with noise for each word, as hibari's instances are called."""
    samples = round(len(text.split()) * WORD_S / speed * teacher.SAMPLE_RATE)
    noise = np.random.default_rng(seed).standard_normal(samples) * 0.05
    tone = 0.3 * np.sin(2 * np.pi * 180 * np.arange(samples) / teacher.SAMPLE_RATE)
    return (tone + noise).astype(np.float32)


def use_tiny_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the packages hibari-tts and Resemblyzer, which need not be installed."""
    encoder = make_encoder()
    monkeypatch.setattr(converter, "load_vector_encoder", lambda name: encoder)
    monkeypatch.setattr(teacher, "_load_voice", lambda: hum)
    monkeypatch.setattr(teacher, "check_installed", lambda: None)

"""A tiny model with a speaker codec, a speaker encoder of random weights, and a humming teacher."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from quick import converter, teacher
from quick.teacher import TeacherUtterance
from speakers.embedding import Encoder
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.ge2e import GE2EEncoder
from support.tiny_bundle import ARCHITECTURES, TEXT_TOKENS, make_tiny_bundle
from tortoise.checkpoints.config import read_config, write_config
from tortoise.checkpoints.loading import save_network
from tortoise.modules.clvp import Clvp
from tortoise.modules.gpt import Gpt
from tortoise.modules.speaker_codec import SpeakerCodec, SpeakerCodecConfig

STARTER = Path(__file__).resolve().parents[2] / "models" / "starter"
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


def make_aligned_bundle(folder: Path, text_tokens: int = TEXT_TOKENS) -> Path:
    """Write a codec bundle without a diffusion network, whose GPT has a text aligner."""
    make_codec_bundle(folder)
    codec = make_codec(0, replace(SpeakerCodecConfig.tiny(), levels=(5, 4)))
    save_network(folder, "dvae", codec, codec.config)
    gpt = replace(
        ARCHITECTURES["gpt"], aligner_width=16, aligner_depth=2,
        number_text_tokens=text_tokens + 1, start_text_token=text_tokens,
    )  # fmt: skip
    clvp = replace(ARCHITECTURES["clvp"], text_tokens=text_tokens + 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        save_network(folder, "gpt", Gpt(gpt), gpt)
        save_network(folder, "clvp", Clvp(clvp), clvp)
    write_config(folder, replace(read_config(folder), diffusion=None, random_diffusion=None))
    (folder / "diffusion.safetensors").unlink()
    return folder


def make_phoneme_bundle(folder: Path) -> Path:
    """Write an aligned bundle with the tokenizer of the starter."""
    symbols = json.loads((STARTER / "tokenizer.json").read_text(encoding="utf-8"))["symbols"]
    make_aligned_bundle(folder, len(symbols))
    write_config(folder, replace(read_config(folder), clvp=None))
    (folder / "clvp.safetensors").unlink()
    for name in ("tokenizer.json", "lexicon.txt.gz", "lts.json.gz"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(STARTER / name)
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


class HummingTeacher:
    """A tone with noise for each word, in place of `quick.teacher.Teacher`."""

    def speak(self, text: str, speed: float = 1.0, seed: int = 0) -> TeacherUtterance:
        units = round(WORD_S / speed * teacher.SAMPLE_RATE / teacher.DURATION_UNIT)
        words = len(text.split())
        samples = words * units * teacher.DURATION_UNIT
        noise = np.random.default_rng(seed).standard_normal(samples) * 0.05
        tone = 0.3 * np.sin(2 * np.pi * 180 * np.arange(samples) / teacher.SAMPLE_RATE)
        return TeacherUtterance(
            wave=(tone + noise).astype(np.float32),
            f0=np.zeros(samples // 300, np.float32),
            phonemes=" ".join("m" * words),
            durations=(units, *(0, units) * (words - 1)),
        )

    def phonemize(self, text: str) -> str:
        return " ".join("m" for _ in text.split())


def record_phones(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Return a list that is filled with the phones that codecs are told."""
    told: list[torch.Tensor] = []
    decode = SpeakerCodec.decode

    def record(
        codec: SpeakerCodec, codes: torch.Tensor, speaker: torch.Tensor, phones: torch.Tensor
    ) -> torch.Tensor:
        told.append(phones)
        return decode(codec, codes, speaker, phones)

    monkeypatch.setattr(SpeakerCodec, "decode", record)
    return told


def use_tiny_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the packages hibari-tts and Resemblyzer, which need not be installed."""
    encoder = make_encoder()
    monkeypatch.setattr(converter, "load_codec_encoder", lambda folder, name: encoder)
    monkeypatch.setattr(teacher, "load_teacher", HummingTeacher)
    monkeypatch.setattr(teacher, "check_installed", lambda: None)

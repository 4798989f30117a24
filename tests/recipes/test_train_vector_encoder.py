"""A small speaker encoder learns the vectors of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.progress import ProgressReporter
from recipes import train_vector_encoder as recipe_module
from recipes.loop import make_step_generator
from recipes.train_vector_encoder import (
    VectorEncoderRecipe,
    read_speech,
    sample_frames,
    train_vector_encoder,
)
from speakers.embedding import load_encoder
from support.tiny_codec import make_encoder

RECIPE = VectorEncoderRecipe(hidden=12, layers=1, batch=4, steps=60, rate=1e-2, warm_up=5)


def voice(hz: float, seconds: float = 3.0) -> torch.Tensor:
    time = torch.arange(round(16_000 * seconds)) / 16_000
    tones = [torch.sin(2 * torch.pi * hz * k * time) / k for k in range(1, 8)]
    return 0.1 * torch.stack(tones).sum(0)


WAVES = [voice(90), voice(140), voice(230, 0.5)]


def test_windows_are_full_and_follow_from_the_generator() -> None:
    first, again = (sample_frames(WAVES, RECIPE, make_step_generator(1, 4)) for _ in range(2))
    assert first.shape == (4, 160, 40) and torch.equal(first, again)
    assert (first >= 0).all() and first.isfinite().all()
    speech = sample_frames([torch.zeros(32_000), voice(100)], RECIPE, make_step_generator(1, 0))
    assert (speech.sum((1, 2)) > 0).all()  # silence is never drawn


def test_the_vectors_come_closer(tmp_path: Path) -> None:
    teacher = make_encoder()
    frames = sample_frames(WAVES, replace(RECIPE, batch=24), make_step_generator(9, 0))
    cosines = []
    for steps in (0, RECIPE.steps):
        recipe = replace(RECIPE, steps=steps)
        model = train_vector_encoder(recipe, WAVES, teacher, tmp_path, ProgressReporter())
        cosines.append(float((model(frames) * teacher.model(frames)).sum(1).mean()))
    assert 1 - cosines[1] < 0.5 * (1 - cosines[0])


def test_the_file_is_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "speech").mkdir()
    write_clip(tmp_path / "speech" / "a.wav", Clip(wave=voice(120), sample_rate=16_000))
    monkeypatch.setattr(recipe_module, "load_vector_encoder", lambda name: make_encoder())
    monkeypatch.setattr(
        recipe_module, "VectorEncoderRecipe", lambda steps: replace(RECIPE, steps=2)
    )
    out = tmp_path / "encoder.safetensors"
    recipe_module.main([str(tmp_path / "speech"), "--work", str(tmp_path / "w"), "--out", str(out),
                        "--steps", "2"])  # fmt: skip
    vector = load_encoder(out).embed_wave(next(read_speech([tmp_path / "speech"])).numpy())
    assert vector.shape == (make_encoder().embedding_size,)

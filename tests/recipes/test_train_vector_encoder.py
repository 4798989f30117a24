"""A small speaker encoder learns the vectors of the speakers in a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from audio.clip import Clip
from core.progress import ProgressReporter
from recipes import train_vector_encoder as recipe_module
from recipes.data.speech_store import SpeechStore, Utterance, list_shards, write_shard
from recipes.loop import make_step_generator
from recipes.train_vector_encoder import SpeakerWindows, VectorEncoderRecipe, train_vector_encoder
from speakers.embedding import load_encoder
from speakers.modules.features import compute_mel

RECIPE = VectorEncoderRecipe(hidden=12, batch=6, steps=60, rate=1e-2, warm_up=5)


def voice(hz: float, seconds: float = 3.0) -> Clip:
    time = torch.arange(round(24_000 * seconds)) / 24_000
    tones = [torch.sin(2 * torch.pi * hz * k * time) / k for k in range(1, 12)]
    return Clip(wave=0.1 * torch.stack(tones).sum(0), sample_rate=24_000)


def embed_windows(clip: Clip) -> Tensor:
    """A direction for each pitch."""
    crossings = int((clip.wave[:-1] * clip.wave[1:] < 0).sum())
    generator = torch.Generator().manual_seed(crossings)
    return F.normalize(torch.rand(1, 256, generator=generator), dim=1).repeat(2, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    pair = Utterance(name="pair", clips={"a": voice(90), "b": voice(240)})
    short = Utterance(name="short", clips={"c": voice(150, 0.8)})
    write_shard(folder / "one", [pair, short], embed_windows)
    return folder


def test_windows_follow_from_the_generator(folder: Path) -> None:
    windows = SpeakerWindows(SpeechStore(list_shards(folder)), RECIPE)
    (first, vectors), (again, _) = (windows.sample(make_step_generator(1, 4)) for _ in range(2))
    assert first.shape == (6, 160, 40) and vectors.shape == (6, 256)
    assert torch.equal(first, again) and (first >= 0).all() and first.isfinite().all()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6), atol=1e-3, rtol=0)


def test_the_vectors_come_closer(folder: Path, tmp_path: Path) -> None:
    store = SpeechStore(list_shards(folder))
    frames, wanted = SpeakerWindows(store, replace(RECIPE, batch=24)).sample(
        make_step_generator(9, 0)
    )
    cosines = []
    for steps in (0, RECIPE.steps):
        recipe = replace(RECIPE, steps=steps)
        model = train_vector_encoder(recipe, store, tmp_path, ProgressReporter())
        with torch.no_grad():
            cosines.append(float((model(frames) * wanted).sum(1).mean()))
    assert 1 - cosines[1] < 0.5 * (1 - cosines[0])


def test_the_file_is_an_encoder_that_the_level_does_not_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        recipe_module, "VectorEncoderRecipe", lambda steps=2: replace(RECIPE, steps=steps)
    )
    out = tmp_path / "encoder.safetensors"
    recipe_module.main(["--store", str(folder), "--work", str(tmp_path / "w"), "--out", str(out),
                        "--steps", "2"])  # fmt: skip
    encoder = load_encoder(out)
    wave = voice(120).resample(16_000).wave
    noise = torch.randn(len(wave), generator=torch.Generator().manual_seed(0)) * 0.01
    frames = compute_mel((wave + noise).numpy())
    loud, quiet = (encoder.embed_features(frames * scale) for scale in (1.0, 0.25))
    assert encoder.kind == "xvector" and loud.shape == (256,)
    assert float(loud @ quiet) == pytest.approx(1.0, abs=1e-3)

"""The training of random voices: what real voices differ in most, random ones differ in as well."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from audio.clip import Clip
from core.progress import ProgressReporter
from recipes.data.speech_store import SpeechStore, Utterance, list_shards, write_shard
from recipes.export_bundle import read_speaker_vectors
from recipes.train_random_latents import RandomLatentRecipe, train_random_latents
from support.audio_helpers import noise


def test_random_voices_vary_along_the_direction_in_which_real_ones_do(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    real = 0.1 * torch.randn(400, 128, generator=draw)
    real[:, 0] += torch.where(torch.arange(400) % 2 == 0, 1.0, -1.0)
    recipe = RandomLatentRecipe(steps=60, batch=256, directions=64)
    model = train_random_latents(recipe, real, tmp_path / "run", ProgressReporter())
    made = model(torch.randn(1000, 128, generator=draw)).detach()
    assert made[:, 0].std() > 0.8 * real[:, 0].std()
    assert made[:, 1:].std() < 2 * real[:, 1:].std()


def test_a_speaker_counts_once_however_much_it_says(tmp_path: Path) -> None:
    vectors = {"a": torch.eye(256)[:1], "b": torch.eye(256)[1:2]}
    said: list[Tensor] = []
    for name in "aab":
        clips = {name: Clip(wave=noise(24_000), sample_rate=24_000)}
        write_shard(
            tmp_path / f"s{len(said)}",
            [Utterance(name=str(len(said)), clips=clips)],
            lambda clip, name=name: vectors[name],
        )
        said.append(vectors[name])
    found = read_speaker_vectors(SpeechStore(list_shards(tmp_path)))
    assert torch.equal(found, torch.cat([vectors["a"], vectors["b"]]))

"""The discrete VAE's training lowers the error, and an interruption leaves no trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from core.progress import ProgressEvent, ProgressReporter
from recipes.train_dvae import DvaeRecipe, train_dvae
from tortoise.modules.dvae import Dvae, DvaeConfig

NORMS = -torch.ones(8)
RECIPE = DvaeRecipe(
    architecture=DvaeConfig.tiny(), steps=6, batch=4, frames=16, rate=3e-3, warm_up=2
)


class ToyMels:
    """Clips made of six sounds; the duties of Features that the recipe needs."""

    def __init__(self, clips: int = 20) -> None:
        generator = torch.Generator().manual_seed(1)
        sounds = torch.randn(6, 8, generator=generator)
        spoken = torch.randint(6, (clips, 10), generator=generator)
        self.mels = sounds[spoken].repeat_interleave(4, dim=1)  # (clips, 40, 8)
        self.mels[0, 10:] = self.mels[0, 9]

    def __len__(self) -> int:
        return len(self.mels)

    def crop(self, index: int, frames: int, generator: torch.Generator) -> Tensor:
        mel = self.mels[index][:10] if index == 0 else self.mels[index]  # the first is short
        spare = max(0, len(mel) - frames) // 4
        first = 4 * int(torch.randint(spare + 1, (1,), generator=generator))
        return mel[first : first + frames]


def train(recipe: DvaeRecipe, folder: Path, report: ProgressReporter) -> Dvae:
    return train_dvae(recipe, ToyMels(), NORMS, folder, report)  # type: ignore[arg-type]


def test_an_interrupted_run_ends_exactly_like_one_that_was_not(tmp_path: Path) -> None:
    whole = train(RECIPE, tmp_path / "whole", ProgressReporter())

    def stop_after_three(event: ProgressEvent) -> None:
        if event.done == 3:
            (tmp_path / "cut" / "stop").touch()

    train(RECIPE, tmp_path / "cut", ProgressReporter(stop_after_three))
    (tmp_path / "cut" / "stop").unlink()
    begun = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["step"]
    assert 0 < begun < RECIPE.steps
    resumed = train(RECIPE, tmp_path / "cut", ProgressReporter())
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_stop_before_the_first_step_trains_nothing(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    train(RECIPE, tmp_path, ProgressReporter())
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 0


def test_training_lowers_the_error(tmp_path: Path) -> None:
    train(replace(RECIPE, steps=100, rate=1e-2, batch=8), tmp_path, ProgressReporter())
    errors = [json.loads(line)["mse"] for line in (tmp_path / "events.jsonl").open()]
    of_the_mean = ToyMels().mels.var(dim=(0, 1)).mean()  # what a model without codes reaches
    assert errors[-1] < 0.8 * of_the_mean

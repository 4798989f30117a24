"""Train the networks that make voices up: noise in, latents like those of real voices out.

How the published ones were trained is unknown. Here the distributions are matched along random
directions (sliced Wasserstein distance, arXiv:1804.01947), which needs no critic.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.loop import TrainingLoop, make_step_generator
from recipes.state import load_state, save_state
from tortoise.modules.random_latents import RandomLatentConfig, RandomLatentGenerator
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import set_lr


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomLatentRecipe:
    """How a network that makes up latents is trained."""

    steps: int = 600
    batch: int = 512
    directions: int = 256
    rate: float = 3e-2
    warm_up: int = 20
    seed: int = 6


def train_random_latents(
    recipe: RandomLatentRecipe, latents: Tensor, folder: Path, report: ProgressReporter
) -> RandomLatentGenerator:
    """Train until the last step or until `stop` lies in the folder; goes on from a saved state.

    latents: (n, c) of many real clips.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = RandomLatentGenerator(RandomLatentConfig(channels=latents.shape[1])).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    run = TrainingLoop(folder, report)
    done = load_state(folder, model=model, optimizer=optimizer)
    for step in run.steps(done, recipe.steps, "random voice"):
        generator = make_step_generator(recipe.seed, step)
        set_lr(optimizer, compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up))
        noise = torch.randn(recipe.batch, latents.shape[1], generator=generator)
        real = latents[torch.randint(len(latents), (recipe.batch,), generator=generator)]
        distance = sliced_wasserstein_distance(model(noise), real, recipe.directions, generator)
        optimizer.zero_grad(set_to_none=True)
        distance.backward()
        optimizer.step()
        done = step + 1
        if done % 50 == 0:
            run.log_metrics(done, distance=distance.item())
    save_state(folder, done, model=model, optimizer=optimizer)
    return model.eval()


def sliced_wasserstein_distance(
    made: Tensor, real: Tensor, directions: int, generator: torch.Generator
) -> Tensor:
    """How far two clouds of points lie apart, seen along random directions.

    made, real: (b, c).  Returns () the mean squared distance between sorted shadows.
    """
    along = torch.randn(made.shape[1], directions, generator=generator)
    along = along / along.norm(dim=0)
    difference = (made @ along).sort(0).values - (real @ along).sort(0).values
    return difference.square().mean()

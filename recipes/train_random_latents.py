"""Train the generators of random speaker latents.

How the published ones were trained is unknown. Here the distributions are matched along random
directions (sliced Wasserstein distance, arXiv:1804.01947), which needs no discriminator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from core.progress import ProgressReporter
from recipes.loop import TrainingLoop, build_seeded, make_step_generator, optimizer_step
from tortoise.modules.random_latents import RandomLatentConfig, RandomLatentGenerator
from training.finetuning.config.lr_schedule import compute_cosine_lr


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomLatentRecipe:
    """Options of random latent training.  directions: of each kind."""

    steps: int = 600
    batch: int = 512
    directions: int = 256
    rate: float = 3e-2
    warm_up: int = 20
    seed: int = 6


def train_random_latents(
    recipe: RandomLatentRecipe, latents: Tensor, folder: Path, report: ProgressReporter
) -> RandomLatentGenerator:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    latents: (n, c) of real clips.
    """
    config = RandomLatentConfig(channels=latents.shape[1])
    model = build_seeded(recipe.seed, lambda: RandomLatentGenerator(config))
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
    for step in loop.steps(recipe.steps, "random voice"):
        generator = make_step_generator(recipe.seed, step)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        noise = torch.randn(recipe.batch, latents.shape[1], generator=generator)
        real = latents[torch.randint(len(latents), (recipe.batch,), generator=generator)]
        distance = sliced_wasserstein_distance(model(noise), real, recipe.directions, generator)
        optimizer_step(distance, model, [optimizer], lr, max_norm=math.inf)
        if (step + 1) % 50 == 0:
            loop.log_metrics(step + 1, distance=distance.item())
    return model.eval()


def sliced_wasserstein_distance(
    generated: Tensor, real: Tensor, directions: int, generator: torch.Generator
) -> Tensor:
    """Return the squared sliced Wasserstein distance of generated and real (b, c): ().

    Half of the directions are random, half are drawn as the real latents spread, since random ones
    hardly see what differs most (with them 9 of 64 voices were men, with both 22).
    """
    random = torch.randn(generated.shape[1], directions, generator=generator)
    spread = (real - real.mean(0)).T @ torch.randn(len(real), directions, generator=generator)
    along = F.normalize(torch.cat([random, spread], dim=1), dim=0)
    difference = (generated @ along).sort(0).values - (real @ along).sort(0).values
    return 2 * difference.square().mean()

"""Train the discrete VAE, whose codes the GPT predicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.data.features import MelDataset
from recipes.loop import TrainingLoop, build_seeded, make_step_generator, optimizer_step
from tortoise.modules.dvae import Dvae, DvaeConfig
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

RESTART_EVERY = 100  # steps between restarts of unused codes
RESTART_UNTIL = 0.7  # of the run


@dataclass(frozen=True, slots=True, kw_only=True)
class DvaeRecipe:
    """Options of discrete VAE training."""

    architecture: DvaeConfig = field(
        default_factory=lambda: DvaeConfig(hidden=96, codebook_dim=64, codes=1024, resnet_blocks=2)
    )
    steps: int = 3_200
    batch: int = 32
    frames: int = 96
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 1e-4
    commitment: float = 0.25
    seed: int = 1


def train_dvae(
    recipe: DvaeRecipe, mels: MelDataset, norms: Tensor, folder: Path, report: ProgressReporter
) -> Dvae:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    mels: log-mels of the corpus;  norms: (80,) of the bands.
    """
    model = build_seeded(recipe.seed, lambda: Dvae(recipe.architecture))
    optimizer = make_adamw(model, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
    if loop.step == 0:
        mel = _sample_batch(
            recipe, mels, norms, make_step_generator(recipe.seed, -1), rows=8 * recipe.batch
        )
        model.codebook.init_with_kmeans(
            _encode_vectors(model, mel), make_step_generator(recipe.seed, -2)
        )
    for step in loop.steps(recipe.steps, "dvae"):
        generator = make_step_generator(recipe.seed, step)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        mel = _sample_batch(recipe, mels, norms, generator)
        with torch.autocast("cpu", torch.bfloat16):
            reconstruction, commitment, _ = model(mel)
        loss = reconstruction + recipe.commitment * commitment
        norm = optimizer_step(loss, model, [optimizer], lr)
        done = step + 1
        if done % RESTART_EVERY == 0 and step < RESTART_UNTIL * recipe.steps:
            model.codebook.restart_dead_codes(_encode_vectors(model, mel), generator)
        if done % 50 == 0:
            used = float((model.codebook.cluster_size > 0.05).float().sum())
            metrics = {"mse": reconstruction.item(), "commitment": commitment.item()}
            loop.log_metrics(done, **metrics, gradient=norm, used=used)
    return model.eval()


@torch.no_grad()
def _encode_vectors(model: Dvae, mel: Tensor) -> Tensor:
    """Encode normalised mel without quantisation: (b, 80, f) to (n, e)."""
    return model.encode_vectors(mel).flatten(0, 1)


def _sample_batch(
    recipe: DvaeRecipe, mels: MelDataset, norms: Tensor, generator: torch.Generator, rows: int = 0
) -> Tensor:
    """Return random windows of normalised mel: (b, 80, f); short clips repeat their last frame."""
    count = rows or recipe.batch
    chosen = torch.randint(len(mels), (count,), generator=generator).tolist()
    crops = []
    for index in chosen:
        crop = mels.crop(index, recipe.frames, generator)
        missing = recipe.frames - len(crop)
        crops.append(torch.cat([crop, crop[-1:].expand(missing, -1)]) if missing else crop)
    return torch.stack(crops).transpose(1, 2) / norms.unsqueeze(-1)

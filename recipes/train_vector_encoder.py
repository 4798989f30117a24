"""Train a small speaker encoder whose vectors lie in the space of a larger one.

    python -m recipes.train_vector_encoder --store STORE --work FOLDER --out FILE

A speaker codec is trained with the vectors of a published encoder, which need not be installed
where it is used: the small one is shipped with the model. It learns the vector of each speaker in
the store of the codec from parts of what the speaker says, with other tilts and noise floors.
Shapes: b batch, f frames, c mel bands, e embedding.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.mel import VOCODER_MEL
from core.progress import ProgressReporter
from recipes.data.speech_store import SpeechStore, list_shards
from recipes.loop import (
    ProgressPrinter,
    TrainingLoop,
    autocast_bfloat16,
    build_seeded,
    make_step_generator,
    optimizer_step,
    random_int,
)
from recipes.losses.mel_critics import GE2E_MEL, MelConversion
from speakers.modules.checkpoints import XVECTOR, EncoderCheckpoint, save_checkpoint
from speakers.modules.feature_config import FeatureConfig
from speakers.modules.xvector import XVectorEncoder
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

WINDOW_FRAMES = 160
WINDOW_S = WINDOW_FRAMES * GE2E_MEL.hop / GE2E_MEL.sample_rate
CONTEXT_FRAMES = round(WINDOW_S * VOCODER_MEL.sample_rate / VOCODER_MEL.hop)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorEncoderRecipe:
    """Options of the training. tilt: nepers at the outer bands; noise: share of the windows."""

    hidden: int = 192
    batch: int = 48
    steps: int = 2_500
    rate: float = 2e-3
    warm_up: int = 100
    decay: float = 1e-2
    parallel: float = 0.3  # share of utterances that several speakers say
    tilt: float = 1.0
    noise: float = 0.4
    seed: int = 1


def train_vector_encoder(
    recipe: VectorEncoderRecipe, store: SpeechStore, folder: Path, report: ProgressReporter
) -> XVectorEncoder:
    """Train until the last step or a `stop` file; resume from a saved state."""
    model = build_seeded(recipe.seed, lambda: XVectorEncoder(hidden=recipe.hidden))
    optimizer = make_adamw(model, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
    batches = SpeakerWindows(store, recipe)
    for step in loop.steps(recipe.steps, "speaker encoder"):
        frames, wanted = batches.sample(make_step_generator(recipe.seed, step))
        with autocast_bfloat16():
            found = model(frames)
        loss = 1 - (found.float() * wanted).sum(1).mean()
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        norm = optimizer_step(loss, model, [optimizer], lr)
        if (step + 1) % 25 == 0:
            loop.log_metrics(step + 1, cosine=1 - loss.item(), gradient=norm)
    return model.eval()


class SpeakerWindows:
    """Draws windows with the vectors of their speakers; the same generator gives the same batch."""

    def __init__(self, store: SpeechStore, recipe: VectorEncoderRecipe) -> None:
        self._store, self._recipe = store, recipe
        self._convert = MelConversion(GE2E_MEL)
        known = list(enumerate(utterance for _, utterance in store.utterances))
        alone = [index for index, one in known if len(one.versions) == 1]
        parallel = [index for index, one in known if len(one.versions) > 1]
        self._pools = [pool for pool in (alone, parallel) if pool]

    def sample(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw energies (b, 160, 40) and unit vectors (b, e)."""
        items = [self._sample_one(generator) for _ in range(self._recipe.batch)]
        mels, vectors = (torch.stack(column) for column in zip(*items, strict=True))
        return _disturb(self._convert(mels, WINDOW_FRAMES), self._recipe, generator), vectors

    def _sample_one(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chance = float(torch.rand(1, generator=generator))
        both = len(self._pools) == 2
        pool = self._pools[int(both and chance < self._recipe.parallel)]
        index = pool[random_int(0, len(pool), generator)]
        _, utterance = self._store.utterances[index]
        version = random_int(0, len(utterance.versions), generator)
        spare = utterance.vocoder_frames - CONTEXT_FRAMES
        start = random_int(0, max(1, spare), generator)
        mel = self._store.read_vocoder_mel(index, version, start, CONTEXT_FRAMES)
        mel = F.pad(mel, (0, CONTEXT_FRAMES - mel.shape[1]), mode="replicate")
        windows = self._store.read_speaker_windows(index, version)
        return mel, F.normalize(windows.mean(0), dim=0)


def _disturb(mel: Tensor, recipe: VectorEncoderRecipe, generator: torch.Generator) -> Tensor:
    """Tilt the spectra and add noise floors: (b, c, f) to (b, f, c)."""
    count, bands, _ = mel.shape
    slope = (2 * torch.rand(count, 1, 1, generator=generator) - 1) * recipe.tilt
    tilted = mel * (slope * torch.linspace(-1, 1, bands)[:, None]).exp()
    noisy = torch.rand(count, 1, 1, generator=generator) < recipe.noise
    share = 10 ** (-2.5 - 2 * torch.rand(count, 1, 1, generator=generator))  # -25 to -45 dB
    floor = tilted.mean((1, 2), keepdim=True) * share
    return (tilted + floor * noisy * torch.rand(mel.shape, generator=generator)).transpose(1, 2)


def save_encoder(path: Path, encoder: XVectorEncoder, recipe: VectorEncoderRecipe) -> None:
    """Write the encoder in 16 bits."""
    checkpoint = EncoderCheckpoint(
        model=encoder.half(), kind=XVECTOR, features=FeatureConfig(), step=recipe.steps,
        partial_frames=WINDOW_FRAMES,
    )  # fmt: skip
    save_checkpoint(path, checkpoint)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and write the encoder."""
    cli = argparse.ArgumentParser(prog="recipes.train_vector_encoder", description=__doc__)
    cli.add_argument("--store", type=Path, required=True, help="of recipes.build_codec")
    cli.add_argument("--work", type=Path, required=True, help="work folder of the training")
    cli.add_argument("--out", type=Path, required=True, help="a .safetensors file")
    cli.add_argument("--steps", type=int, default=VectorEncoderRecipe().steps)
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(1)
    recipe = VectorEncoderRecipe(steps=parsed.steps)
    store = SpeechStore(list_shards(parsed.store))
    report = ProgressReporter(ProgressPrinter())
    model = train_vector_encoder(recipe, store, parsed.work, report)
    save_encoder(parsed.out, model, recipe)


if __name__ == "__main__":
    main()

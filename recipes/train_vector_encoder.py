"""Train a small speaker encoder whose vectors lie in the space of a larger one.

    python -m recipes.train_vector_encoder SPEECH... --work FOLDER --out FILE

A speaker codec is trained with the vectors of a published encoder, which need not be installed
where it is used: the small one is shipped with the model. Both get the same windows of speech,
also at other tape speeds, with other levels, tilts and noise.
SPEECH: folders of recordings, or corpora of `recipes.corpus`.
Shapes: b batch, n samples at 16 kHz, f frames, c mel bands, e embedding.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip
from audio.mel import mel_spectrum
from core.progress import ProgressReporter
from quick.teacher import SAMPLE_RATE
from recipes.corpus.reader import read_index, read_wave
from recipes.data.negatives import random_int
from recipes.data.segments import AUDIO_SUFFIXES
from recipes.loop import (
    ProgressPrinter,
    TrainingLoop,
    build_seeded,
    make_step_generator,
    optimizer_step,
)
from speakers.embedding import Encoder
from speakers.modules.checkpoints import EncoderCheckpoint, save_checkpoint
from speakers.modules.features import GE2E_MEL
from speakers.modules.ge2e import GE2EEncoder
from tortoise.generation.voice_conditioning import SPEECH_RMS, load_vector_encoder
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

WINDOW_FRAMES = 160
LOUD_RMS = 1e-3  # windows below are silence
EVERY_NTH = 12  # of the utterances of a corpus, of which there are many by few speakers


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorEncoderRecipe:
    """Options of the training. tape: slowest and fastest speed; tilt: nepers at the outer bands."""

    hidden: int = 192
    layers: int = 2
    batch: int = 16
    steps: int = 1_500
    rate: float = 2e-3
    warm_up: int = 100
    decay: float = 1e-4
    tape: tuple[float, float] = (0.75, 1.33)
    gain_db: float = 4.0
    tilt: float = 1.5
    noise: float = 0.5  # share of the windows with noise
    seed: int = 1


def train_vector_encoder(
    recipe: VectorEncoderRecipe,
    waves: Sequence[Tensor],
    teacher: Encoder,
    folder: Path,
    report: ProgressReporter,
) -> GE2EEncoder:
    """Train until the last step or a `stop` file; resume from a saved state.

    waves: (n,) at 16 kHz, of many speakers.
    """
    model = build_seeded(
        recipe.seed,
        lambda: GE2EEncoder(
            hidden=recipe.hidden, layers=recipe.layers, embedding=teacher.embedding_size
        ),
    )
    optimizer = make_adamw(model, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
    for step in loop.steps(recipe.steps, "speaker encoder"):
        frames = sample_frames(waves, recipe, make_step_generator(recipe.seed, step))
        with torch.no_grad():
            wanted = teacher.model(frames)
        loss = 1 - (model(frames) * wanted).sum(1).mean()
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        norm = optimizer_step(loss, model, [optimizer], lr)
        if (step + 1) % 25 == 0:
            loop.log_metrics(step + 1, cosine=1 - loss.item(), gradient=norm)
    return model.eval()


def sample_frames(
    waves: Sequence[Tensor], recipe: VectorEncoderRecipe, generator: torch.Generator
) -> Tensor:
    """Draw windows of speech and return their mel energies: (b, 160, 40)."""
    length = (WINDOW_FRAMES - 1) * GE2E_MEL.hop
    found: list[Tensor] = []
    while len(found) < recipe.batch:
        wave = waves[random_int(0, len(waves), generator)]
        low, high = recipe.tape
        speed = low + (high - low) * float(torch.rand(1, generator=generator))
        needed = round(length * speed)
        start = random_int(0, max(1, len(wave) - needed), generator)
        piece = wave[start : start + needed]
        piece = F.pad(piece, (0, needed - len(piece)))
        if piece.square().mean().sqrt() < LOUD_RMS:
            continue
        piece = F.interpolate(piece[None, None], size=length, mode="linear")[0, 0]
        level = recipe.gain_db * (2 * float(torch.rand(1, generator=generator)) - 1)
        found.append(piece * 10 ** (level / 20))
    mel = mel_spectrum(torch.stack(found), GE2E_MEL, "constant")
    return _disturb(mel, recipe, generator).transpose(1, 2)


def _disturb(mel: Tensor, recipe: VectorEncoderRecipe, generator: torch.Generator) -> Tensor:
    """Tilt the spectra and add noise floors: (b, c, f)."""
    count, bands, _ = mel.shape
    slope = (2 * torch.rand(count, 1, 1, generator=generator) - 1) * recipe.tilt
    tilted = mel * (slope * torch.linspace(-1, 1, bands)[:, None]).exp()
    noisy = torch.rand(count, 1, 1, generator=generator) < recipe.noise
    share = 10 ** (-1.5 - 3 * torch.rand(count, 1, 1, generator=generator))  # -15 to -45 dB
    floor = tilted.mean((1, 2), keepdim=True) * share
    return tilted + floor * noisy * torch.rand(mel.shape, generator=generator)


def read_speech(folders: Sequence[Path]) -> Iterator[Tensor]:
    """Yield the recordings of folders, and utterances of corpora: (n,) at 16 kHz, equally loud."""
    for folder in folders:
        for clip in _read_corpus(folder) if (folder / "shards").is_dir() else _read_folder(folder):
            wave = clip.resample(GE2E_MEL.sample_rate).wave
            yield wave * (SPEECH_RMS / wave.square().mean().sqrt().clamp(min=1e-8))


def _read_folder(folder: Path) -> Iterator[Clip]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    yield from map(read_clip, paths)


def _read_corpus(corpus: Path) -> Iterator[Clip]:
    for row in read_index(corpus)[::EVERY_NTH]:
        wave = torch.from_numpy(read_wave(corpus, row).astype("float32")) / 32_768
        yield Clip(wave=wave, sample_rate=SAMPLE_RATE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and write the encoder in 16 bits."""
    cli = argparse.ArgumentParser(prog="recipes.train_vector_encoder", description=__doc__)
    cli.add_argument("speech", type=Path, nargs="+")
    cli.add_argument("--work", type=Path, required=True, help="work folder of the training")
    cli.add_argument("--out", type=Path, required=True, help="a .safetensors file")
    cli.add_argument("--teacher", default="resemblyzer")
    cli.add_argument("--steps", type=int, default=1_500)
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(1)
    report = ProgressReporter(ProgressPrinter())
    teacher = load_vector_encoder(parsed.teacher)
    recipe = VectorEncoderRecipe(steps=parsed.steps)
    waves = list(read_speech(parsed.speech))
    model = train_vector_encoder(recipe, waves, teacher, parsed.work, report)
    save_checkpoint(
        parsed.out,
        EncoderCheckpoint(
            model=model.half(), kind="ge2e", features=teacher.feature_config, step=recipe.steps,
            partial_frames=WINDOW_FRAMES,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()

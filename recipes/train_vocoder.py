"""Train the vocoder on spectral losses and its F0 network on labels.

    python -m recipes.train_vocoder --recordings FOLDER --teacher FOLDER --out FOLDER

The moving average is exported. `--critics-from STEP` adds discriminators. In the last
third of the steps mels are perturbed, as generated ones are. Shapes: b batch, f frames, n samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audio.clip import Clip
from audio.io import write_clip
from audio.mel import vocoder_mel
from core.progress import ProgressReporter
from recipes.corpus.build_teacher import read_f0
from recipes.corpus.reader import CorpusRow, read_index, read_wave, split_held_out
from recipes.corpus.teacher import F0_HOP
from recipes.data.f0_labels import read_f0_labels
from recipes.data.segments import (
    CONTEXT_FRAMES,
    F0,
    HOP_LENGTH,
    SAMPLE_RATE,
    Samples,
    SegmentConfig,
    VocoderBatch,
    WavePool,
    draw_batch,
    interpolate_f0,
)
from recipes.loop import TrainingLoop, autocast_bfloat16, make_step_generator, optimizer_step
from recipes.losses.discriminators import (
    Discriminator,
    DiscriminatorConfig,
    discriminator_loss,
    generator_loss,
)
from recipes.losses.stft_loss import StftResolution, compute_magnitude
from tortoise.checkpoints.loading import save_network
from tortoise.generation.vocoding import vocode
from tortoise.modules.vocoders.istft_vocoder import (
    F0Predictor,
    IstftVocoder,
    IstftVocoderConfig,
    compute_f0_bins,
    synthesize_wave,
)
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

HELD_OUT_STEP = -1  # the step whose segments are validated on
RESOLUTIONS = (
    StftResolution(256, 64, 256),
    StftResolution(1024, 256, 1024),
    StftResolution(2048, 512, 2048),
)
MAGNITUDE_FLOOR = 5e-6  # times the length of the transform
F0_BIN_WIDTH = 1.0  # standard deviation of the soft labels, in bins


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderRecipe:
    """Options of vocoder training."""

    architecture: IstftVocoderConfig = field(default_factory=IstftVocoderConfig)
    critics: DiscriminatorConfig = field(default_factory=DiscriminatorConfig.starter)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    steps: int = 25_000
    decay_share: float = 0.3  # of the steps, at the end, in which the learning rate falls
    perturbed_share: float = 0.35  # of the steps, at the end, with perturbed mels
    own_f0_from: int = 1_000  # the step from which the predicted F0 replaces the labels
    critics_from: int = 10**9  # step; beyond the last one: no discriminators
    critic_samples: int = 8192  # of each segment, for the discriminators
    rate: float = 8e-4
    critic_rate: float = 3e-4
    warm_up: int = 100
    betas: tuple[float, float] = (0.8, 0.99)
    mel_weight: float = 3.0
    f0_weight: float = 0.2
    averaging: float = 0.999  # decay of the moving average
    report_every: int = 50
    judge_every: int = 500
    low_precision: bool = True  # bf16 autocast of the generator
    seed: int = 1

    def compute_rate(self, step: int, peak: float) -> float:
        """Return the learning rate: constant after the warm-up, then half a cosine."""
        start = round(self.steps * (1 - self.decay_share))
        if step < start:
            return peak * min(1.0, (step + 1) / self.warm_up)
        return compute_cosine_lr(step - start, self.steps - start, peak, 0, floor=0.02)


@dataclass(frozen=True, kw_only=True)
class VocoderTrainState:
    """Networks and optimizers."""

    generator: IstftVocoder
    average: IstftVocoder
    critics: Discriminator
    optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer

    @classmethod
    def start(cls, recipe: VocoderRecipe) -> VocoderTrainState:
        """Create networks with random weights of the recipe's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            generator, critics = IstftVocoder(recipe.architecture), Discriminator(recipe.critics)
        return cls(
            generator=generator,
            average=deepcopy(generator).requires_grad_(False),
            critics=critics,
            optimizer=make_adamw(generator, recipe.rate, 0.01, recipe.betas),
            critic_optimizer=make_adamw(critics, recipe.critic_rate, 0.01, recipe.betas),
        )

    def to_state_parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return the parts by their names in a saved state."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def train_vocoder(
    recipe: VocoderRecipe, pools: Sequence[WavePool], held_out: Sequence[WavePool], folder: Path,
    report: ProgressReporter,
) -> IstftVocoder:  # fmt: skip
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    pools: training audio;  held_out: audio for the `held_*` metrics.
    The averaged generator is exported to `folder/export` with every saved state and returned.
    """
    state = VocoderTrainState.start(recipe)
    export = partial(
        save_network, folder / "export", "istft_vocoder", state.average, state.average.config
    )
    loop = TrainingLoop(folder, report, export, **state.to_state_parts())
    for step in loop.steps(recipe.steps, "vocoder"):
        batch = draw_batch(pools, recipe.segments, step)
        draw = make_step_generator(recipe.seed, step)
        if step >= round(recipe.steps * (1 - recipe.perturbed_share)):
            batch = perturb_mel(batch, draw)
        fake = generate_wave(recipe, state.generator, batch, draw, step >= recipe.own_f0_from)
        metrics = train_critics_step(recipe, state, fake.detach(), batch, step)
        metrics |= train_generator_step(recipe, state, fake, batch, step)
        update_ema(state.average, state.generator, recipe.averaging, step)
        done = step + 1
        if done % recipe.judge_every == 0:
            metrics |= evaluate_vocoder(recipe, state.average, held_out)
            path = folder / "samples" / f"{done:06d}.wav"
            write_vocoder_sample(state.average, held_out[0].waves[0], path)
        if done % recipe.report_every == 0:
            loop.log_metrics(done, **{name: float(value) for name, value in metrics.items()})
    return state.average.eval()


def perturb_mel(batch: VocoderBatch, draw: torch.Generator) -> VocoderBatch:
    """Blur mels in time and frequency and add noise, each item as much as it draws."""
    mel = batch.mel

    def draw_amounts(most: float) -> Tensor:
        kept = torch.rand((len(mel), 1, 1), generator=draw) < 0.7
        return most * torch.rand((len(mel), 1, 1), generator=draw) * kept

    for size in (draw_amounts(0.3), draw_amounts(0.2)):
        padded = F.pad(mel, (1, 1), mode="replicate")
        mel = torch.lerp(mel, (padded[..., :-2] + padded[..., 2:]) / 2, 2 * size)
        mel = mel.transpose(1, 2)  # first in time, then in frequency
    noise = torch.randn(mel.shape, generator=draw)
    slow = F.avg_pool2d(torch.randn(mel.shape, generator=draw)[:, None], 5, 1, 2)[:, 0] * 5
    mel = mel + draw_amounts(0.25) * noise + draw_amounts(0.2) * slow
    return VocoderBatch(mel=mel, f0=batch.f0, wave=batch.wave)


def generate_wave(
    recipe: VocoderRecipe, net: IstftVocoder, batch: VocoderBatch, draw: torch.Generator, own: bool
) -> Tensor:
    """Generate the waves of a batch (b, n), float32.

    own: with the predicted F0 in place of the labels.
    """
    with autocast_bfloat16(recipe.low_precision):
        with torch.no_grad():
            f0 = net.f0.predict(batch.mel.transpose(1, 2)) if own else batch.f0
        wave = synthesize_wave(net, batch.mel, f0, draw)
    side = CONTEXT_FRAMES * HOP_LENGTH
    return wave[:, side:-side]


def train_critics_step(
    recipe: VocoderRecipe, state: VocoderTrainState, fake: Tensor, batch: VocoderBatch, step: int
) -> dict[str, Tensor]:
    """Update the discriminators, from `critics_from` on; return metrics."""
    if step < recipe.critics_from:
        return {}
    critics = state.critics.requires_grad_(True)
    seen = torch.cat([fake, batch.wave])[:, : recipe.critic_samples]
    pairs = [scores.chunk(2) for scores in critics(seen)]
    loss = discriminator_loss([fake for fake, _ in pairs], [real for _, real in pairs])
    lr = recipe.compute_rate(step, recipe.critic_rate)
    optimizer_step(loss, critics, [state.critic_optimizer], lr, max_norm=10.0)
    return {"critics": loss.detach()}


def train_generator_step(
    recipe: VocoderRecipe, state: VocoderTrainState, fake: Tensor, batch: VocoderBatch, step: int
) -> dict[str, Tensor]:
    """Update the generator and its F0 network; return metrics."""
    distances = compute_spectral_losses(fake, batch.wave)
    distances["f0"] = compute_f0_loss(recipe, state.generator.f0, batch)
    metrics = {name: value.detach() for name, value in distances.items()}
    loss = distances["log_magnitude"] + recipe.mel_weight * distances["mel"]
    loss = loss + recipe.f0_weight * distances["f0"]
    if step >= recipe.critics_from:
        critics = state.critics.requires_grad_(False)
        adversarial = generator_loss(critics(fake[:, : recipe.critic_samples]))
        loss = loss + adversarial
        metrics["adversarial"] = adversarial.detach()
    lr = recipe.compute_rate(step, recipe.rate)
    norm = optimizer_step(loss, state.generator, [state.optimizer], lr, max_norm=5.0)
    return metrics | {"gradient": torch.tensor(norm)}


def compute_spectral_losses(fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Return the L1 distances of log magnitudes and of log-mels of two waves (b, n)."""
    distances = []
    for resolution in RESOLUTIONS:
        floor = MAGNITUDE_FLOOR * resolution.n_fft
        x, y = (compute_magnitude(wave, resolution).clamp(min=floor).log() for wave in (fake, real))
        distances.append((x - y).abs().mean())
    return {
        "log_magnitude": torch.stack(distances).mean(),
        "mel": (vocoder_mel(fake) - vocoder_mel(real)).abs().mean(),
    }


def compute_f0_loss(recipe: VocoderRecipe, net: F0Predictor, batch: VocoderBatch) -> Tensor:
    """Return the cross entropy of F0 bins over voiced frames, plus that of voicing: ()."""
    with autocast_bfloat16(recipe.low_precision):
        logits, voicing = net(batch.mel.transpose(1, 2))
    voiced = batch.f0 > 0
    loss = F.binary_cross_entropy_with_logits(voicing, voiced.float())
    if not voiced.any():
        return loss
    bins = compute_f0_bins(logits.shape[-1], logits.device)
    distance = (batch.f0[voiced].log()[:, None] - bins) / (bins[1] - bins[0])
    soft = (-(distance / F0_BIN_WIDTH).square() / 2).softmax(-1)
    return loss + F.cross_entropy(logits[voiced], soft)


@torch.no_grad()
def update_ema(average: nn.Module, leader: nn.Module, averaging: float, step: int) -> None:
    """Update the moving average, with a smaller decay in the first steps."""
    keep = min(averaging, (1 + step) / (10 + step))
    for slow, fast in zip(average.parameters(), leader.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


@torch.no_grad()
def evaluate_vocoder(
    recipe: VocoderRecipe, net: IstftVocoder, held_out: Sequence[WavePool]
) -> dict[str, Tensor]:
    """Return the spectral losses on held-out segments, and the errors of F0 and voicing."""
    segments = SegmentConfig(batch=4 * recipe.segments.batch, samples=recipe.segments.samples)
    batch = draw_batch(held_out, segments, HELD_OUT_STEP)
    draw = make_step_generator(recipe.seed, HELD_OUT_STEP)
    distances = compute_spectral_losses(generate_wave(recipe, net, batch, draw, True), batch.wave)
    found = net.f0.predict(batch.mel.transpose(1, 2))
    both = (found > 0) & (batch.f0 > 0)
    distances["voicing_error"] = ((found > 0) != (batch.f0 > 0)).float().mean()
    if both.any():
        cents = 1200 * (found[both] / batch.f0[both]).log2().abs()
        distances["f0_cents"] = cents.median()
        distances["f0_gross"] = (cents > 100).float().mean()
    return {f"held_{name}": value for name, value in distances.items()}


def write_vocoder_sample(net: IstftVocoder, wave: Samples, path: Path) -> None:
    """Write the audio that the vocoder generates from one clip's mel."""
    mel = vocoder_mel(torch.from_numpy(wave.astype("float32")) / 32768)
    (audio,) = vocode(net, mel, make_step_generator(0, 0))
    path.parent.mkdir(exist_ok=True)
    write_clip(path, Clip(wave=audio.clone(), sample_rate=SAMPLE_RATE, name=path.stem))


def load_wave_pools(
    recordings: Path | None, teacher: Path | None, speech_share: float
) -> tuple[list[WavePool], list[WavePool]]:
    """Return training and held-out pools of labelled recordings and of the teacher's corpus.

    speech_share: of each batch from recordings; every 20th recording and the last shard are held
    out.
    """
    train: list[WavePool] = []
    held_out: list[WavePool] = []
    if recordings is not None:
        pairs = list(zip(*read_f0_labels(recordings), strict=True))
        share = speech_share if teacher is not None else 1.0
        train.append(_make_pool([pair for i, pair in enumerate(pairs) if i % 20], share))
        held_out.append(_make_pool(pairs[::20], share))
    if teacher is not None:
        share = 1 - speech_share if recordings is not None else 1.0
        for pools, rows in zip((train, held_out), split_held_out(read_index(teacher)), strict=True):
            pairs = [(read_wave(teacher, row), _read_teacher_f0(teacher, row)) for row in rows]
            pools.append(_make_pool(pairs, share))
    return train, held_out


def _make_pool(pairs: Sequence[tuple[Samples, F0]], share: float) -> WavePool:
    return WavePool(waves=[wave for wave, _ in pairs], f0=[f0 for _, f0 in pairs], share=share)


def _read_teacher_f0(teacher: Path, row: CorpusRow) -> F0:
    frames = np.arange(1 + row.samples // HOP_LENGTH)
    return interpolate_f0(read_f0(teacher, row), frames * HOP_LENGTH / F0_HOP - 0.5)


def main(arguments: Sequence[str] | None = None) -> None:
    cli = argparse.ArgumentParser(prog="recipes.train_vocoder", description=__doc__)
    cli.add_argument("--recordings", type=Path, help="labelled by recipes.data.f0_labels")
    cli.add_argument("--teacher", type=Path, help="a corpus of recipes.corpus.build_teacher")
    cli.add_argument("--speech-share", type=float, default=0.6, help="of recordings in a batch")
    cli.add_argument("--out", type=Path, required=True)
    cli.add_argument("--steps", type=int, default=VocoderRecipe().steps)
    cli.add_argument("--critics-from", type=int, default=VocoderRecipe().critics_from)
    cli.add_argument("--threads", type=int, default=torch.get_num_threads())
    parsed = cli.parse_args(arguments)
    if parsed.recordings is None and parsed.teacher is None:
        cli.error("give --recordings, --teacher or both")
    torch.set_num_threads(parsed.threads)
    recipe = VocoderRecipe(steps=parsed.steps, critics_from=parsed.critics_from)
    train, held_out = load_wave_pools(parsed.recordings, parsed.teacher, parsed.speech_share)
    train_vocoder(recipe, train, held_out, parsed.out, ProgressReporter())


if __name__ == "__main__":
    main()

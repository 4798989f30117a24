"""Train the vocoder: first on spectral losses alone, then with discriminators (arXiv:2106.07889).

    python -m recipes.train_vocoder --corpus FOLDER --speech FOLDER --out FOLDER

The moving average of the generator is exported.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from audio.clip import Clip
from audio.io import write_clip
from audio.mel import vocoder_mel
from core.progress import ProgressReporter
from recipes.corpus.reader import read_index, read_wave, split_held_out
from recipes.data.segments import (
    SAMPLE_RATE,
    Samples,
    SegmentConfig,
    VocoderBatch,
    WavePool,
    draw_batch,
    read_audio_folder,
)
from recipes.discriminators import (
    Discriminator,
    DiscriminatorConfig,
    discriminator_loss,
    generator_loss,
)
from recipes.loop import TrainingLoop, make_step_generator, optimizer_step
from recipes.stft_loss import compute_stft_loss
from tortoise.checkpoints.loading import save_network
from tortoise.generation.vocoding import prepare_for_inference, vocode
from tortoise.modules.univnet import UnivNet, UnivNetConfig
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

HELD_OUT_STEP = -1  # the step whose segments are validated on


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderRecipe:
    """Options of vocoder training."""

    architecture: UnivNetConfig = field(default_factory=UnivNetConfig.starter)
    critics: DiscriminatorConfig = field(default_factory=DiscriminatorConfig.starter)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    steps: int = 12_000
    critics_from: int = 6_000  # step
    critic_samples: int = 4096  # of each segment, for the discriminators
    rate: float = 1e-3
    critic_rate: float = 5e-4
    warm_up: int = 100
    betas: tuple[float, float] = (0.8, 0.99)
    stft_weight: float = 2.5
    mel_weight: float = 2.5
    averaging: float = 0.999  # decay of the moving average
    report_every: int = 50
    judge_every: int = 500
    low_precision: bool = True  # bf16 autocast of the generator
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class VocoderTrainState:
    """Networks and optimizers."""

    generator: UnivNet
    average: UnivNet
    critics: Discriminator
    optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer

    @classmethod
    def start(cls, recipe: VocoderRecipe) -> VocoderTrainState:
        """Create networks with random weights of the recipe's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            generator, critics = UnivNet(recipe.architecture), Discriminator(recipe.critics)
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
) -> UnivNet:  # fmt: skip
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    pools: training audio;  held_out: audio for the `held_*` metrics.
    The averaged generator is exported to `folder/export` with every saved state and returned.
    """
    state = VocoderTrainState.start(recipe)
    export = partial(
        save_network, folder / "export", "vocoder", state.average, state.average.config
    )
    loop = TrainingLoop(folder, report, export, **state.to_state_parts())
    for step in loop.steps(recipe.steps, "vocoder"):
        batch = draw_batch(pools, recipe.segments, step)
        fake = generate_wave(
            recipe, state.generator, batch.mel, make_step_generator(recipe.seed, step)
        )
        metrics = train_critics_step(recipe, state, fake.detach(), batch, step)
        metrics |= train_generator_step(recipe, state, fake, batch, step)
        update_ema(state.average, state.generator, recipe.averaging, step)
        done = step + 1
        if done % recipe.judge_every == 0:
            metrics |= evaluate_vocoder(recipe, state.average, held_out)
            write_vocoder_sample(
                state.average, held_out[0].waves[0], folder / "samples" / f"{done:06d}.wav"
            )
        if done % recipe.report_every == 0:
            loop.log_metrics(done, **{name: float(value) for name, value in metrics.items()})
    return state.average.eval()


def generate_wave(
    recipe: VocoderRecipe, net: UnivNet, mel: Tensor, draw: torch.Generator
) -> Tensor:
    """Generate audio: mel (b, bands, f) to wave (b, n), float32."""
    shape = (mel.shape[0], recipe.architecture.noise_dim, mel.shape[2])
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.low_precision):
        wave: Tensor = net(mel, torch.randn(shape, generator=draw))
    return wave.squeeze(1).float()


def train_critics_step(
    recipe: VocoderRecipe,
    state: VocoderTrainState,
    fake: Tensor,
    batch: VocoderBatch,
    step: int,
) -> dict[str, Tensor]:
    """Update the discriminators, from `critics_from` on; return metrics."""
    own_step = step - recipe.critics_from
    if own_step < 0:
        return {}
    lr = compute_cosine_lr(
        own_step, recipe.steps - recipe.critics_from, recipe.critic_rate, recipe.warm_up
    )
    critics = state.critics.requires_grad_(True)
    seen = torch.cat([fake, batch.wave])[:, : recipe.critic_samples]
    pairs = [scores.chunk(2) for scores in critics(seen)]
    loss = discriminator_loss([fake for fake, _ in pairs], [real for _, real in pairs])
    optimizer_step(loss, critics, [state.critic_optimizer], lr, max_norm=10.0)
    return {"critics": loss.detach()}


def train_generator_step(
    recipe: VocoderRecipe,
    state: VocoderTrainState,
    fake: Tensor,
    batch: VocoderBatch,
    step: int,
) -> dict[str, Tensor]:
    """Update the generator; return metrics."""
    distances = compute_spectral_losses(fake, batch.wave)
    loss = recipe.stft_weight * (distances["convergence"] + distances["log_magnitude"])
    loss = loss + recipe.mel_weight * distances["mel"]
    metrics = {name: value.detach() for name, value in distances.items()}
    if step >= recipe.critics_from:
        critics = state.critics.requires_grad_(False)
        adversarial = generator_loss(critics(fake[:, : recipe.critic_samples]))
        loss = loss + adversarial
        metrics["adversarial"] = adversarial.detach()
    lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
    norm = optimizer_step(loss, state.generator, [state.optimizer], lr, max_norm=10.0)
    return metrics | {"gradient": torch.tensor(norm)}


def compute_spectral_losses(fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Return the two STFT losses and the L1 distance of log-mels of two waves (b, n)."""
    spectra = compute_stft_loss(fake, real)
    return {
        "convergence": spectra.spectral_convergence,
        "log_magnitude": spectra.log_magnitude,
        "mel": (vocoder_mel(fake) - vocoder_mel(real)).abs().mean(),
    }


@torch.no_grad()
def update_ema(average: nn.Module, leader: nn.Module, averaging: float, step: int) -> None:
    """Update the moving average, with a smaller decay in the first steps."""
    keep = min(averaging, (1 + step) / (10 + step))
    for slow, fast in zip(average.parameters(), leader.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


@torch.no_grad()
def evaluate_vocoder(
    recipe: VocoderRecipe, net: UnivNet, held_out: Sequence[WavePool]
) -> dict[str, Tensor]:
    """Return the spectral losses on held-out segments."""
    batch = draw_batch(held_out, recipe.segments, HELD_OUT_STEP)
    fake = generate_wave(recipe, net, batch.mel, make_step_generator(recipe.seed, HELD_OUT_STEP))
    distances = compute_spectral_losses(fake, batch.wave)
    return {f"held_{name}": value for name, value in distances.items()}


def write_vocoder_sample(net: UnivNet, wave: Samples, path: Path) -> None:
    """Write the audio that the vocoder generates from one clip's mel."""
    mel = vocoder_mel(torch.from_numpy(wave.astype("float32")) / 32768)
    (audio,) = vocode(prepare_for_inference(net), mel, make_step_generator(0, 0))
    path.parent.mkdir(exist_ok=True)
    write_clip(path, Clip(wave=audio.clone(), sample_rate=SAMPLE_RATE, name=path.stem))


def load_wave_pools(
    corpus: Path, speech: Sequence[Path], speech_share: float
) -> tuple[list[WavePool], list[WavePool]]:
    """Return training and held-out pools of a corpus and of folders of recordings.

    speech_share: of each batch from recordings; every 20th recording is held out.
    """
    train, held_out = split_held_out(read_index(corpus))
    waves = [wave for folder in speech for wave in read_audio_folder(folder)]
    share = speech_share if waves else 0.0
    return (
        [WavePool(waves=[read_wave(corpus, row) for row in train], share=1 - share)]
        + [WavePool(waves=[w for i, w in enumerate(waves) if i % 20], share=share)] * bool(waves),
        [WavePool(waves=[read_wave(corpus, row) for row in held_out], share=1 - share)]
        + [WavePool(waves=waves[::20], share=share)] * bool(waves),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    cli = argparse.ArgumentParser(prog="recipes.train_vocoder", description=__doc__)
    cli.add_argument("--corpus", type=Path, required=True)
    cli.add_argument("--speech", type=Path, action="append", default=[], help="recordings")
    cli.add_argument("--speech-share", type=float, default=0.25)
    cli.add_argument("--out", type=Path, required=True)
    cli.add_argument("--steps", type=int, default=VocoderRecipe().steps)
    cli.add_argument("--critics-from", type=int, default=VocoderRecipe().critics_from)
    cli.add_argument("--threads", type=int, default=torch.get_num_threads())
    cli.add_argument("--batch", type=int, default=SegmentConfig().batch)
    parsed = cli.parse_args(arguments)
    torch.set_num_threads(parsed.threads)
    segments = SegmentConfig(batch=parsed.batch)
    recipe = VocoderRecipe(steps=parsed.steps, critics_from=parsed.critics_from, segments=segments)
    train, held_out = load_wave_pools(parsed.corpus, parsed.speech, parsed.speech_share)
    sys.stderr.write(f"{len(train[0].waves)} clips of the corpus\n")
    train_vocoder(recipe, train, held_out, parsed.out, ProgressReporter())


if __name__ == "__main__":
    main()
